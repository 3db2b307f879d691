"""Replies: from what a model sent to an answer of the schema, or to the reason why not.

Tool calls, plain JSON, fenced JSON and JSON in prose are read. Where a reply has several
different answers none is taken: nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

_Schema = TypeVar("_Schema", bound=BaseModel)

MOST_CANDIDATES = 50
"""Braces in prose are tried up to so many times."""


class UnreadableReplyError(Exception):
    """A reply is not an answer; the text says why, for the model and for people."""


def read_answer(texts: list[str], schema: type[_Schema]) -> _Schema:
    """Return the one answer in some texts (arguments of tool calls, or the reply).

    Raises
    ------
    UnreadableReplyError

    Examples
    --------
    >>> from cellferry.engines.llm.replies import Verdict
    >>> text = 'Sure: {"cluster_token": "A", "passed": true, "problems": [], "reasoning": "r"}'
    >>> read_answer([text], Verdict).passed
    True
    """
    if not any(text.strip() for text in texts):
        message = "The reply was empty."
        raise UnreadableReplyError(message)
    found: list[_Schema] = []
    problem = "The reply held no JSON object."
    for text in texts:
        for candidate in _objects(text):
            try:
                answer = schema.model_validate(candidate)
            except ValidationError as error:
                problem = f"The JSON of the reply does not fit: {_listed(error)}."
            else:
                if answer not in found:
                    found.append(answer)
    if len(found) > 1:
        message = "The reply held more than one answer."
        raise UnreadableReplyError(message)
    if not found:
        raise UnreadableReplyError(problem)
    return found[0]


def _objects(text: str) -> Iterator[dict[str, object]]:
    """Yield the outermost JSON objects of a text."""
    try:
        whole = json.loads(text, strict=False)
    except ValueError:
        pass
    else:
        if isinstance(whole, dict):
            yield whole
        elif isinstance(whole, list):
            yield from (part for part in whole if isinstance(part, dict))
        return
    decoder = json.JSONDecoder(strict=False)
    position, tried = text.find("{"), 0
    while position >= 0 and tried < MOST_CANDIDATES:
        tried += 1
        try:
            found, end = decoder.raw_decode(text, position)
        except ValueError:
            end = position + 1
        else:
            if isinstance(found, dict):
                yield found
        position = text.find("{", end)


def _listed(error: ValidationError) -> str:
    problems = [
        f"{'.'.join(map(str, e['loc'])) or 'object'}: {e['msg'].lower()}"
        for e in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(problems[:5])


def _texts(value: object) -> object:
    """Read one text as a list of one, and nothing as no text; never as letters."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    return value


def _nothing(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in {"", "null", "none", "n/a"}:
        return None
    return value


Texts = Annotated[list[str], BeforeValidator(_texts)]
OptionalText = Annotated[str | None, BeforeValidator(_nothing)]


class Answer(BaseModel):
    """The cell type of one cluster."""

    cluster_token: str = Field(description="The cluster token of the question, copied exactly.")
    main_type: str = Field(
        min_length=1,
        description="General cell type, or Unknown if the markers do not point to one.",
    )
    subtypes: Texts = Field(description="Up to three subtypes of it, the most likely first.")
    state: OptionalText = Field(description="State such as cycling or activated, or null.")
    mixed_types: Texts = Field(description="Other cell types that seem to be mixed in; or none.")
    supporting_genes: Texts = Field(description="Listed genes that support it, copied exactly.")
    conflicting_genes: Texts = Field(description="Listed genes that speak against it.")
    ontology_id: OptionalText = Field(description="Cell Ontology id, CL:0000000, or null.")
    ontology_label: OptionalText = Field(description="The label of that term, or null.")
    possible_tissues: Texts = Field(description="Likely tissues if the tissue is unknown.")
    confidence: float = Field(ge=0, le=1, description="How sure, from 0 to 1.")
    reasoning: str = Field(description="Why, in a few sentences.")


class Verdict(BaseModel):
    """Whether an annotation of one cluster holds."""

    cluster_token: str = Field(description="The cluster token of the question, copied exactly.")
    passed: bool = Field(description="Whether the annotation holds as it is.")
    problems: Texts = Field(description="What must be changed; none if it holds.")
    reasoning: str = Field(description="Why, in a few sentences.")
