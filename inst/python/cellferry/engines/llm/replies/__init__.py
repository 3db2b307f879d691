"""Replies: from what a model sent to an answer of the form, or to the reason why not.

``wire`` puts what servers send into the form that the packages of the providers read,
``reasoning`` finds where an answer begins, ``lenient`` reads JSON as models write it, and
``forms`` the fields. Tool calls, plain JSON, fenced JSON and JSON in prose are read. Where a
reply has several different answers none is taken: nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ....biology.text import token_of
from .forms import Answer, Verdict
from .lenient import read_object, read_value
from .reasoning import answer_part

__all__ = ["Answer", "UnreadableReplyError", "Verdict", "read_answer"]

_Schema = TypeVar("_Schema", bound=BaseModel)

MOST_CANDIDATES = 50
"""Braces in prose are tried up to so many times."""

MOST_NESTED = 4
"""So deep an answer is looked for in objects, lists and texts that are JSON again."""

_OBJECT_BEGINS = re.compile(r"\{\s*[\"'\u201c]\w+[\"'\u201d]\s*:")
_PARAMETER = re.compile(r"<parameter=(\w+)>\s*(.*?)\s*</parameter>", re.DOTALL)


class UnreadableReplyError(Exception):
    """A reply is not an answer; the text says why, for the model and for people."""


def read_answer(texts: list[str], schema: type[_Schema]) -> _Schema:
    """Return the one answer in some texts (arguments of tool calls, or the reply).

    Raises
    ------
    UnreadableReplyError

    Examples
    --------
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
        for candidate in _candidates(text):
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


def _candidates(text: str) -> Iterator[Mapping[str, object]]:
    """Yield what may be an answer in a text."""
    text = text.strip().lstrip("\ufeff\u200b").strip()
    try:
        whole = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    else:
        yield from _answers(whole, 0)
        return
    final = answer_part(text)
    if final is None:
        message = "The reply ended within its reasoning, before an answer."
        raise UnreadableReplyError(message)
    if parameters := dict(_PARAMETER.findall(final)):
        yield parameters
        return
    for found in _objects(final):
        yield from _answers(found, 0)


def _answers(value: object, depth: int) -> Iterator[Mapping[str, object]]:
    """Yield the objects with a token: the value, or what it encloses, encoded once more or not."""
    if depth > MOST_NESTED:
        return
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in {"{", "["}:
            try:
                inner = json.loads(text, strict=False)
            except (ValueError, RecursionError):
                try:
                    inner = read_value(text)
                except ValueError:
                    return
            yield from _answers(inner, depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _answers(part, depth + 1)
    elif isinstance(value, dict):
        if "clustertoken" in map(token_of, map(str, value)):
            yield value
            return
        within = [found for part in value.values() for found in _answers(part, depth + 1)]
        # Of what has no token it is said what is missing.
        yield from within or ([] if depth else [value])


def _objects(text: str) -> Iterator[dict[str, object]]:
    """Yield the outermost JSON objects of a text."""
    decoder = json.JSONDecoder(strict=False)
    position, tried = text.find("{"), 0
    while position >= 0 and tried < MOST_CANDIDATES:
        tried += 1
        found: object = None
        try:
            found, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            try:
                found, end = read_object(text, position)
            except ValueError:
                if _OBJECT_BEGINS.match(text, position):
                    # It is cut off or damaged, and what is in it is no whole answer.
                    return
                end = position + 1
        if isinstance(found, dict):
            yield found
        position = text.find("{", end)


def _listed(error: ValidationError) -> str:
    problems = [
        f"{'.'.join(map(str, e['loc'])) or 'object'}: {e['msg'].lower()}"
        for e in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(problems[:5])
