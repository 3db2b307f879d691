"""Dates and moments: R counts days and seconds since 1970 in doubles, pandas in integers.

Where a double is not a whole number of the unit, what is lost is said; a moment is kept to the
nanosecond, which is finer than R's double is for the years 1970 to 2100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pandas.arrays import DatetimeArray

NAT = np.iinfo(np.int64).min
_DAY = 86_400
_BILLION = 1_000_000_000
_MOST_SECONDS = 9_223_372_036
"""Seconds that 64 bits of nanoseconds reach, to the years 1677 and 2262."""


def dates(days: NDArray[np.float64]) -> tuple[NDArray[np.datetime64], str]:
    """Return R's days since 1970 as ``datetime64[s]``, and what is lost."""
    present = np.isfinite(days)
    whole = np.floor(np.where(present, days, 0))
    seconds = np.where(present, whole * _DAY, 0).astype(np.int64)
    seconds[~present] = NAT
    lost = ""
    if bool(np.any(whole[present] != days[present])):
        lost = "The part of a day is dropped from a Date."
    if bool(np.any(np.isinf(days))):
        lost = "Infinite dates become missing."
    return seconds.view("M8[s]"), lost


def moments(seconds: NDArray[np.float64], zone: str | None) -> tuple[DatetimeArray, str]:
    """Return R's seconds since 1970 as a time-zone aware array, and what is lost.

    Without a zone R shows the moment in the session's own; here it is shown in UTC.

    Parameters
    ----------
    seconds
        float64; NaN is missing.
    zone
        Name of a time zone, or None.
    """
    import pandas as pd

    present = np.isfinite(seconds)
    filled = np.where(present, seconds, 0.0)
    fine = bool(np.all(np.abs(filled) < _MOST_SECONDS))
    whole = np.floor(filled)
    per_second = _BILLION if fine else 1
    rest = np.rint((filled - whole) * per_second) if fine else np.zeros_like(whole)
    ticks = whole.astype(np.int64) * per_second + rest.astype(np.int64)
    lost = ""
    if bool(np.any(_as_seconds(ticks, per_second)[present] != seconds[present])):
        lost = f"Times are rounded to {'nanoseconds' if fine else 'seconds'}."
    if bool(np.any(np.isinf(seconds))):
        lost = "Infinite times become missing."
    ticks[~present] = NAT
    stamps = pd.DatetimeIndex(ticks.view("M8[ns]" if fine else "M8[s]")).tz_localize("UTC")
    try:
        return stamps.tz_convert(zone or "UTC").array, lost
    except (KeyError, ValueError, OSError):
        return stamps.array, f'The time zone "{zone}" is not known here; times are in UTC.'


def _as_seconds(ticks: NDArray[np.int64], per_second: int) -> NDArray[np.float64]:
    return np.asarray(ticks // per_second + (ticks % per_second) / per_second, dtype=np.float64)


def days(series: pd.Series[Any]) -> tuple[NDArray[np.float64], str]:
    """Return a column of times as R's days since 1970, and what is lost."""
    found, _, _ = seconds(series)
    lost = ""
    gone = np.isnan(found)
    exact = np.where(gone, 0, found) / _DAY
    whole = np.floor(exact)
    if bool(np.any(whole != exact)):
        lost = "The time of day is dropped from a Date."
    return np.where(gone, _na(), whole), lost


def seconds(series: pd.Series[Any]) -> tuple[NDArray[np.float64], str | None, str]:
    """Return a column of times as R's seconds since 1970, the zone, and what is lost."""
    import pandas as pd

    index = pd.DatetimeIndex(series.array)
    zone: str | None = "UTC"
    lost = "A time without a zone is taken as UTC."
    if index.tz is not None:
        zone, lost = str(index.tz), ""
        index = index.tz_convert("UTC").tz_localize(None)
    per_second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": _BILLION}[index.unit]
    ticks = index.asi8
    gone = ticks == NAT
    found = np.where(gone, _na(), _as_seconds(np.where(gone, 0, ticks), per_second))
    return found, zone, lost


def _na() -> np.float64:
    return np.uint64(0x7FF00000000007A2).view(np.float64)
