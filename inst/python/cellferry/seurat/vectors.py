"""R's text, lists and attributes, to Python and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType

import numpy as np

from .session import RObject, r_lock

# Joining text in R and splitting it here is five times as fast as one call for each element.
_SEPARATOR = "\x1f"
_JOIN = """
function(x) {
  x <- enc2utf8(as.character(x))
  Encoding(x) <- "bytes"
  gone <- is.na(x)
  x[gone] <- ""
  joined <- paste(x, collapse = "\\x1f")
  Encoding(joined) <- "UTF-8"
  list(joined, which(gone) - 1L)
}
"""
_SPLIT = """
function(text, gone) {
  x <- strsplit(text, "\\x1f", fixed = TRUE)[[1]]
  x <- x[-length(x)]
  x[gone] <- NA_character_
  x
}
"""
_made: dict[str, RObject] = {}


def _helper(code: str, rinterface: ModuleType) -> RObject:
    if code not in _made:
        _made[code] = rinterface.evalr(code)
    return _made[code]


def _run(code: str, rinterface: ModuleType, *arguments: RObject) -> RObject:
    pairs = [(None, a) for a in arguments]
    return _helper(code, rinterface).rcall(pairs, rinterface.globalenv)


def texts(vector: RObject) -> list[str | None]:
    """Return an R character vector as a list; NA is None, NULL an empty list."""
    with r_lock() as rinterface:
        if vector is rinterface.NULL or not len(vector):
            return []
        joined, gone = _run(_JOIN, rinterface, vector)
        found: list[str | None] = list(str(joined[0]).split(_SEPARATOR))
        if len(found) != len(vector):
            # The separator itself is in the text.
            na = rinterface.NA_Character
            return [None if t is na else str(t) for t in vector]
        for i in gone:
            found[i] = None
        return found


def names(vector: RObject) -> list[str]:
    """Return an R character vector without NA."""
    return [t for t in texts(vector) if t is not None]


def text_vector(values: Iterable[str | None]) -> RObject:
    """Return an R character vector, UTF-8; None is NA."""
    with r_lock() as rinterface:
        listed = list(values)
        plain = [v if v is not None else "" for v in listed]
        if any(_SEPARATOR in v or "\0" in v for v in plain) or len(plain) < 50:
            na = rinterface.NA_Character
            return rinterface.StrSexpVector([na if v is None else v for v in listed])
        # strsplit() drops an empty text at the end, so there is one more that is not empty.
        joined = rinterface.StrSexpVector([_SEPARATOR.join([*plain, "."])])
        gone = np.flatnonzero([v is None for v in listed]) + 1
        return _run(_SPLIT, rinterface, joined, rinterface.IntSexpVector(gone.tolist()))


def text(vector: RObject) -> str | None:
    """Return the one text of an R vector, None for NULL, NA or nothing."""
    found = texts(vector)
    return found[0] if found else None


def is_null(vector: RObject) -> bool:
    """Whether this is R's NULL."""
    with r_lock() as rinterface:
        return vector is rinterface.NULL


def parts(vector: RObject) -> dict[str, RObject]:
    """Return a named R list as a dict of R objects; NULL is empty."""
    with r_lock() as rinterface:
        if vector is rinterface.NULL:
            return {}
        return {str(n): v for n, v in zip(names(vector.names), vector, strict=True)}


def named_list(values: Mapping[str, RObject]) -> RObject:
    """Return a named R list; None is NULL."""
    with r_lock() as rinterface:
        null = rinterface.NULL
        made = rinterface.ListSexpVector([null if v is None else v for v in values.values()])
        made.names = text_vector(values.keys())
        return made


def integers(values: Sequence[int]) -> RObject:
    """Return a short R integer vector."""
    with r_lock() as rinterface:
        return rinterface.IntSexpVector(list(values))


def flag(value: bool) -> RObject:
    """Return R's TRUE or FALSE."""
    with r_lock() as rinterface:
        return rinterface.BoolSexpVector([value])


def slot(thing: RObject, name: str) -> RObject:
    """Return a slot of an S4 object, or an attribute; NULL if there is none."""
    with r_lock() as rinterface:
        attributes = rinterface.baseenv["attr"]
        return attributes.rcall(
            [(None, thing), (None, rinterface.StrSexpVector([name])),
             ("exact", rinterface.BoolSexpVector([True]))],
            rinterface.globalenv,
        )  # fmt: skip


def classes(thing: RObject) -> list[str]:
    """Return the classes of an R object, its own first."""
    with r_lock() as rinterface:
        found = rinterface.baseenv["class"].rcall([(None, thing)], rinterface.globalenv)
        return names(found)
