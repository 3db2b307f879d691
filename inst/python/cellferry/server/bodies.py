"""Bodies of requests as models: what is checked and what is documented have one source.

A model says what is valid; the OpenAPI document is made from it. The published clients write some
values in more than one way (R writes an empty map as ``[]`` and a list of one as its element):
``OR_EMPTY`` and ``ONE_OR_MORE`` take these, here and in the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, LiteralString, NoReturn, TypeVar, get_args

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationError,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

from .failures import Code, Failure, shown
from .store import is_id

Schema = dict[str, Any]
"""A JSON schema, as pydantic has it."""
_MUST: LiteralString = "must"

LONGEST_NAME = 1000
"""Characters of an id, label, gene or column name."""
LONGEST_TEXT = 100_000


def refuse(predicate: str) -> NoReturn:
    """Raise the error of a value inside a model; ``predicate`` is as in :func:`must`."""
    raise PydanticCustomError(_MUST, predicate)


def must(predicate: str) -> GetPydanticSchema:
    """Return the mark of a type that has its own words for a value that is not valid.

    Parameters
    ----------
    predicate
        Follows the name of the value in the message; ``{given}`` stands for what was sent.
    """
    return GetPydanticSchema(
        lambda kind, handler: core_schema.custom_error_schema(
            handler(kind), custom_error_type=_MUST, custom_error_message=predicate
        )
    )


def one_of(names: Sequence[str]) -> GetPydanticSchema:
    """Return the mark of a text that must be one of some names."""
    return GetPydanticSchema(lambda _kind, _handler: core_schema.literal_schema([*names]))


def filled(value: object) -> object:
    """Return an empty object where R or a client means one."""
    return {} if value is None or value == [] else value


def or_empty(schema: Schema) -> Schema:
    """Return the schema of what :func:`filled` takes beside what a schema describes."""
    return {"anyOf": [schema, {"type": "null"}, {"type": "array", "maxItems": 0}]}


def _listed(value: object) -> object:
    return [] if value is None else [value] if isinstance(value, str | dict) else value


def _or_one(schema: Schema) -> Schema:
    return {"anyOf": [schema, schema["items"], {"type": "null"}]}


def _checked_id(text: str) -> str:
    if not is_id(text):
        refuse("is no id: {given}")
    return text


FIRST_ERROR = GetPydanticSchema(lambda kind, handler: {**handler(kind), "fail_fast": True})
"""Marks a list or a map that is given up at its first error, however many it has."""
OR_EMPTY = GetPydanticSchema(
    lambda kind, handler: core_schema.no_info_before_validator_function(filled, handler(kind)),
    lambda schema, handler: or_empty(handler(schema)),
)
"""Marks a map or an object that may be null, or ``[]`` as R writes an empty one."""
ONE_OR_MORE = GetPydanticSchema(
    lambda kind, handler: core_schema.no_info_before_validator_function(_listed, handler(kind)),
    lambda schema, handler: _or_one(handler(schema)),
)
"""Marks a list that may be null, or its one element as R writes a list of one."""
WHOLE = BeforeValidator(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)
"""Marks a whole number that may be written 2 or 2.0."""

Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Id = Annotated[
    str, AfterValidator(_checked_id), WithJsonSchema({"type": "string", "format": "uuid"})
]
"""The id of a job or an upload."""
K = TypeVar("K")
V = TypeVar("V")
Map = Annotated[dict[K, V], FIRST_ERROR, OR_EMPTY]


class Body(BaseModel):
    """An object that a client sends. Names that it does not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)


def parsed(body: bytes) -> object:
    """Return the JSON of a body; raises :class:`Failure`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Failure(Code.BAD_REQUEST, f"The body is not valid JSON: {error}.") from error


_Body = TypeVar("_Body", bound=Body)


def read(model: type[_Body], content: object) -> _Body:
    """Return a body as its model; raises :class:`Failure` that names what is wrong.

    Examples
    --------
    >>> class Gene(Body):
    ...     name: Name
    >>> read(Gene, {"name": "CD3D"}).name
    'CD3D'
    >>> read(Gene, {"name": 3})
    Traceback (most recent call last):
    cellferry.server.failures.Failure: `name` must be text, not 3.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    # After the except clause: the error has the body with its keys, and nothing may keep it.
    is_llm = first["loc"][:1] == ("llm_configs",)
    code = Code.LLM_VALIDATION_FAILED if is_llm else Code.VALIDATION_ERROR
    raise Failure(code, _message(model, first))


_PREDICATES = {
    "missing": "must have `{name}`",
    "extra_forbidden": "may have {names}, not {name}",
    "model_type": "must be an object, not {given}",
    "dict_type": "must be an object, not {given}",
    "list_type": "must be a list, not {given}",
    "too_short": "must not be empty",
    "too_long": "may have {max_length} entries, not {actual_length}",
    "string_type": "must be text, not {given}",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters, not {length}",
    "literal_error": "must be one of {expected}, not {given}",
    "bool_type": "must be true or false, not {given}",
}
_PREDICATES_OF_NAMES = {
    "string_too_short": "must not have an empty id",
    "string_too_long": "may have names of {max_length} characters, not {length}",
}


def _message(model: type[Body], error: ErrorDetails) -> str:
    """Return an error of pydantic in the words of this server."""
    kind, path, given = error["type"], list(error["loc"]), error["input"]
    predicates, values = _PREDICATES, dict(error.get("ctx", {}))
    if path and path[-1] == "[key]":
        predicates, path = _PREDICATES_OF_NAMES, path[:-2]
    elif kind in {"missing", "extra_forbidden"}:
        name = str(path.pop())
        values["name"] = name if kind == "missing" else shown(name)
    where, names, shows = _place(model, path)
    predicate = predicates.get(kind, error["msg"] if kind == _MUST else "is not valid: {given}")
    if not shows:
        predicate = predicate.partition(", not {given}")[0]
    values["given"] = shown(given)
    values["length"] = len(given) if isinstance(given, str) else None
    values["names"] = ", ".join(f"`{name}`" for name in names)
    return f"{where} {predicate.format(**values)}."


def _place(model: type[BaseModel], path: list[int | str]) -> tuple[str, list[str], bool]:
    """Return the name of a place in a body, the fields there, and whether it may be shown."""
    where, shows, fields = "", True, _fields(model)
    for part in path:
        if isinstance(part, str) and part in fields:
            where += f".{part}"
            shows = fields[part].repr
            fields = _fields(next(_models(fields[part].annotation), None))
        else:
            where += f"[{shown(part)}]"
    where = where[1:].removeprefix("input_data.")
    return f"`{where}`" if where else "The body", list(fields), shows


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    found = {} if model is None else model.model_fields
    return {field.alias or name: field for name, field in found.items()}


def _models(kind: object) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation names."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)
