"""The forms of answers, and what is read as one of their fields.

A model that means the right thing in another type is understood; what it did not say stays
missing, but for what an answer can do without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from ....biology.text import confidence_of, plain_label, token_of
from .lenient import read_value

_NAMING = ("gene", "symbol", "marker", "name", "label", "celltype", "maintype", "type", "subtype",
           "value", "id", "text")  # fmt: skip
"""Members by which an object stands for one text, the first that it has."""

_NOTHING = {"", "null", "none", "n/a", "na", "nan", "-"}
_PASSED = {"passed": True, "pass": True, "holds": True, "ok": True, "accept": True,
           "accepted": True, "failed": False, "fail": False, "reject": False,
           "rejected": False}  # fmt: skip


def _one(value: object) -> object:
    """Return the text that a value of another type stands for, or the value."""
    if isinstance(value, list) and len(value) == 1:
        return _one(value[0])
    if isinstance(value, Mapping):
        named = {token_of(str(name)): v for name, v in value.items()}
        return next((named[n] for n in _NAMING if isinstance(named.get(n), str)), value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _list(value: object, *, genes: bool) -> object:
    if isinstance(value, str):
        if value.strip().startswith("["):
            try:
                return _list(read_value(value), genes=genes)
            except ValueError:
                pass
        return _parts(value, genes=genes)
    if value is None:
        return []
    if isinstance(value, Mapping):
        one = _one(value)
        return list(map(str, value)) if genes and one is value else [one]
    return [_one(part) for part in value] if isinstance(value, list | tuple) else value


def _parts(text: str, *, genes: bool) -> list[str]:
    """Split a text that is a list. Commas are part of names of cells, but not of genes."""
    if genes and re.fullmatch(r"\s*[A-Za-z][\w.-]+(?:\s+[A-Za-z][\w.-]+)+\s*", text):
        return [word for word in text.split() if word not in {"and", "or"}]
    # What is in brackets belongs to what stands before it.
    marks = r"(?:[,;|\n]|\s+and\s+|&)(?![^(]*\))" if genes else r"[;\n]"
    return re.split(marks, text.strip().strip("[](){}") if genes else text)


def _known(values: object) -> object:
    if not isinstance(values, list):
        return values
    return [v for v in values if v is not None and not _is_nothing(v)]


def _is_nothing(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in _NOTHING


def _genes(value: object) -> object:
    found = _known(_list(value, genes=True))
    return (
        [g.strip() if isinstance(g, str) else g for g in found]
        if isinstance(found, list)
        else found
    )


def _labels(value: object) -> object:
    found = _known(_list(value, genes=False))
    if not isinstance(found, list):
        return found
    return [plain_label(part) if isinstance(part, str) else part for part in found]


def _sentences(value: object) -> object:
    """Read one text as a list of one, and nothing as no text; never as letters."""
    return _known([value] if isinstance(value, str) else _list(value, genes=False))


def _label(value: object) -> object:
    if value is None:
        return "Unknown"
    one = _one(value)
    return plain_label(one) if isinstance(one, str) else one


def _optional(value: object) -> object:
    one = None if value in ([], {}) else _one(value)
    return None if _is_nothing(one) else one


def _optional_label(value: object) -> object:
    one = _optional(value)
    return plain_label(one) if isinstance(one, str) else one


def _prose(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return _one(value)


def _whether(value: object) -> object:
    return _PASSED.get(value.strip().casefold(), value) if isinstance(value, str) else value


Genes = Annotated[list[str], BeforeValidator(_genes)]
Labels = Annotated[list[str], BeforeValidator(_labels)]
Sentences = Annotated[list[str], BeforeValidator(_sentences)]
Label = Annotated[str, BeforeValidator(_label)]
Token = Annotated[str, BeforeValidator(_one)]
OptionalText = Annotated[str | None, BeforeValidator(_optional)]
OptionalLabel = Annotated[str | None, BeforeValidator(_optional_label)]
Prose = Annotated[str, BeforeValidator(_prose)]
Confidence = Annotated[
    float | None,
    BeforeValidator(confidence_of),
    WithJsonSchema({"maximum": 1, "minimum": 0, "type": "number"}),
]


class Form(BaseModel):
    """A form; its fields are found in any case and spelling, as ``clusterToken``."""

    needed: ClassVar[frozenset[str]]
    """The fields without which it is no answer; all others may be missing in a reply."""

    @model_validator(mode="before")
    @classmethod
    def _fields_of(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        fields = {token_of(name): name for name in cls.model_fields}
        found = {
            fields[token_of(str(name))]: value
            for name, value in given.items()
            if token_of(str(name)) in fields
        }
        return {**dict.fromkeys(cls.model_fields.keys() - cls.needed), **found}


class Answer(Form):
    """The cell type of one cluster."""

    needed: ClassVar[frozenset[str]] = frozenset({"cluster_token", "main_type"})

    cluster_token: Token = Field(description="The cluster token of the question, copied exactly.")
    main_type: Label = Field(
        min_length=1,
        description="General cell type, or Unknown if the markers do not point to one.",
    )
    subtypes: Labels = Field(description="Up to three subtypes of it, the most likely first.")
    state: OptionalLabel = Field(description="State such as cycling or activated, or null.")
    mixed_types: Labels = Field(description="Other cell types that seem to be mixed in; or none.")
    supporting_genes: Genes = Field(description="Listed genes that support it, copied exactly.")
    conflicting_genes: Genes = Field(description="Listed genes that speak against it.")
    ontology_id: OptionalText = Field(description="Cell Ontology id, CL:0000000, or null.")
    ontology_label: OptionalLabel = Field(description="The label of that term, or null.")
    possible_tissues: Labels = Field(description="Likely tissues if the tissue is unknown.")
    confidence: Confidence = Field(description="How sure, from 0 to 1.")
    reasoning: Prose = Field(description="Why, in a few sentences.")


class Verdict(Form):
    """Whether an annotation of one cluster holds."""

    needed: ClassVar[frozenset[str]] = frozenset({"cluster_token", "passed"})

    cluster_token: Token = Field(description="The cluster token of the question, copied exactly.")
    passed: Annotated[bool, BeforeValidator(_whether)] = Field(
        description="Whether the annotation holds as it is."
    )
    problems: Sentences = Field(description="What must be changed; none if it holds.")
    reasoning: Prose = Field(description="Why, in a few sentences.")
