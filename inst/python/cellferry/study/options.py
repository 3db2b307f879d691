"""The values of options: one check for each kind of value, with one form of message.

Each check is given the name of the option and its value, returns the value with its type settled,
and raises :class:`~cellferry.errors.InvalidOptionError`, which names the option, what is valid
and what was given. For an option that may be None see :func:`or_none`.

All have the same parameters: `option` is the name, `value` what was given, `hint` a sentence on
what to do next, and `none` only says in the message that None is valid too. `least`, `most` and
`above` are limits of numbers, of which None is none.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TypeGuard, TypeVar

import numpy as np

from ..errors import InvalidOptionError, listing, nearest

_Value = TypeVar("_Value")

_SHOWN = 40
"""Characters of a value that a message repeats; a longer text may be a key in the wrong place."""


def or_none(
    check: Callable[..., _Value], option: str, value: object, *limits: object, **more: object
) -> _Value | None:
    """Return None for None, and for any other value what the check returns.

    Examples
    --------
    >>> or_none(flag, "ascending", None) is None, or_none(flag, "ascending", True)
    (True, True)
    """
    return None if value is None else check(option, value, *limits, none=True, **more)


def whole_number(
    option: str,
    value: object,
    least: float,
    most: float | None = None,
    *,
    hint: str = "",
    none: bool = False,
) -> int:
    """Return a whole number from `least` to `most`; 3.0 is one.

    Examples
    --------
    >>> whole_number("n_genes", 50.0, 1)
    50
    """
    if (
        not _is_number(value)
        or value % 1 != 0
        or value < least
        or (most is not None and value > most)
    ):
        raise _invalid(option, value, f"a whole number{_limits(least, most)}", none, hint)
    return int(value)


def number(
    option: str,
    value: object,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    hint: str = "",
    none: bool = False,
) -> float:
    """Return a number from `least` to `most`, or greater than `above`.

    Where there is any limit, it must also be finite; it is never NaN. An integer is refused where
    no float is equal to it (beyond 2**53 many are not).

    Examples
    --------
    >>> number("timeout", 5, above=0)
    5.0
    """
    limited = not least == most == above is None
    found = _as_float(value)
    if (
        math.isnan(found)
        or (limited and math.isinf(found))
        or (least is not None and found < least)
        or (most is not None and found > most)
        or (above is not None and found <= above)
    ):
        raise _invalid(option, value, f"a number{_limits(least, most, above)}", none, hint)
    return found


def flag(option: str, value: object, *, hint: str = "", none: bool = False) -> bool:
    """Return True or False; 1 and 0 are none.

    Examples
    --------
    >>> flag("overwrite", False)
    False
    """
    if not isinstance(value, bool | np.bool_):
        valid = "True, False" if none else "True or False"
        raise _invalid(option, value, valid, none, hint)
    return bool(value)


def one_of(
    option: str, value: object, valid: Sequence[str], *, hint: str = "", none: bool = False
) -> str:
    """Return one of the valid texts; the hint names the nearest one.

    Examples
    --------
    >>> one_of("qc", "warn", ("warn", "off"))
    'warn'
    """
    if not isinstance(value, str) or value not in valid:
        guess = nearest(value, tuple(valid)) if isinstance(value, str) else None
        hint = f'Did you mean "{guess}"?' if guess else hint
        raise _invalid(option, value, f"one of {listing(tuple(valid))}", none, hint)
    return value


def text(option: str, value: object, *, hint: str = "", none: bool = False) -> str:
    """Return a text that is not empty or blank.

    Examples
    --------
    >>> text("model", "geneformer")
    'geneformer'
    """
    if not isinstance(value, str) or not value.strip():
        raise _invalid(option, value, "text that is not empty", none, hint)
    return value


def path(option: str, value: object, *, hint: str = "", none: bool = False) -> str:
    """Return a path as text.

    Examples
    --------
    >>> from pathlib import Path
    >>> path("vars_h5_path", Path("vars.h5"))
    'vars.h5'
    """
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str) or not given.strip():
        raise _invalid(option, value, "a path", none, hint)
    return given


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _as_float(value: object) -> float:
    """Return the number as a float; NaN for what is no number, or one that no float can hold."""
    if not _is_number(value):
        return math.nan
    try:
        found = float(value)
    except OverflowError:
        return math.nan
    return math.nan if isinstance(value, Integral) and int(found) != int(value) else found


def _limits(least: float | None, most: float | None, above: float | None = None) -> str:
    if above is not None:
        return f" above {above:,}"
    if least is None:
        return ""
    return f" of at least {least:,}" if most is None else f" from {least:,} to {most:,}"


def _invalid(option: str, value: object, valid: str, none: bool, hint: str) -> InvalidOptionError:
    message = f"`{option}` must be {valid}{' or None' if none else ''}, not {_shown(value)}."
    return InvalidOptionError(message, hint, option=option)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else "a long text"
    if value is not None and not isinstance(value, Real | np.bool_):
        return type(value).__name__
    try:
        shown = str(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a long number"
    return shown if len(shown) <= _SHOWN else "a long number"
