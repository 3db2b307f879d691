"""From codes to classes and back: how errors and warnings cross to R and from it."""

from __future__ import annotations

import logging
import re
import warnings
from typing import TypeVar

from .base import ISSUE_URL, CellferryError, CellferryWarning
from .records import InternalError

_Coded = TypeVar("_Coded", CellferryError, CellferryWarning)


def _walk(base: type[_Coded]) -> list[type[_Coded]]:
    found = [base]
    for child in base.__subclasses__():
        found.extend(_walk(child))
    return found


def error_codes() -> dict[str, str]:
    """Return every error code and the first line of its meaning, sorted by code.

    Examples
    --------
    >>> error_codes()["markers_empty"]
    'The table has no rows.'
    """
    return {c.code: _meaning(c) for c in sorted(_walk(CellferryError), key=lambda c: c.code)}


def warning_codes() -> dict[str, str]:
    """Return every warning code and the first line of its meaning, sorted by code."""
    return {c.code: _meaning(c) for c in sorted(_walk(CellferryWarning), key=lambda c: c.code)}


def _meaning(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def error_class(code: str) -> type[CellferryError]:
    """Return the error class of a code; an unknown one is :class:`InternalError`.

    Examples
    --------
    >>> error_class("markers_empty").__name__
    'MarkersEmptyError'
    """
    return {c.code: c for c in _walk(CellferryError)}.get(code, InternalError)


def warning_class(code: str) -> type[CellferryWarning]:
    """Return the warning class of a code; an unknown one is :class:`CellferryWarning`."""
    return {c.code: c for c in _walk(CellferryWarning)}.get(code, CellferryWarning)


def error_from_r(class_name: str, text: str, where: str) -> CellferryError:
    """Return the error of a condition of R, by its class and its text.

    Parameters
    ----------
    class_name
        First class of the condition, for example ``cellferry_invalid_object_error``.
    text
        Its message; from the second line on it is the hint.
    where
        What was running, for an error that is not ours.

    Examples
    --------
    >>> error_from_r("cellferry_group_missing_error", "No such column.\\ni Choose one.", "").hint
    'Choose one.'
    """
    message, hint = _split_r(text)
    if class_name.startswith("cellferry_"):
        code = class_name.removeprefix("cellferry_").removesuffix("_error")
        return error_class(code)(message, hint)
    return InternalError(f"R stopped in {where}: {text}", f"Please report it at {ISSUE_URL}.")


def warn_from_r(class_name: str, text: str) -> None:
    """Give a warning of R as ours; one that is not ours goes to the log."""
    message, hint = _split_r(text)
    if class_name.startswith("cellferry_"):
        code = class_name.removeprefix("cellferry_").removesuffix("_warning")
        warnings.warn(warning_class(code)(message, hint), stacklevel=3)
    else:
        logging.getLogger("cellferry").warning("R: %s", text)


def _split_r(text: str) -> tuple[str, str]:
    message, _, rest = text.partition("\n")
    # rlang puts a sign before a hint.
    return message, re.sub(r"(?m)^(\u2139|i|\*) ", "", rest)
