import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.bridge import times

ZONES = [None, "", "UTC", "Europe/Berlin", "Asia/Kolkata"]


@given(
    st.lists(st.floats(2**24, 4e9) | st.integers(-(10**9), 10**9).map(float), max_size=20),
    st.sampled_from(ZONES),
)
def test_moments_come_back_as_they_were(seconds, zone):
    given_seconds = np.array([*seconds, np.nan])
    stamps, lost = times.moments(given_seconds, zone)
    assert lost == ""
    found, _, lost = times.seconds(pd.Series(stamps))
    assert lost == ""
    np.testing.assert_array_equal(found, given_seconds)


@given(st.lists(st.integers(-700_000, 700_000).map(float), max_size=20))
def test_dates_come_back_as_they_were(days):
    given_days = np.array([*days, np.nan])
    stamps, lost = times.dates(given_days)
    assert lost == ""
    found, lost = times.days(pd.Series(stamps))
    assert lost == ""
    np.testing.assert_array_equal(found, given_days)


def test_a_moment_is_that_moment():
    stamps, _ = times.moments(np.array([1_700_000_000.25]), "Europe/Berlin")
    assert pd.Series(stamps)[0] == pd.Timestamp("2023-11-14 23:13:20.25", tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (times.dates(np.array([0.5]))[1], "part of a day"),
        (times.dates(np.array([np.inf]))[1], "Infinite dates"),
        (times.moments(np.array([np.inf]), None)[1], "Infinite times"),
        (times.moments(np.array([0.1234567891234]), None)[1], "rounded to nanoseconds"),
        (times.moments(np.array([1.0]), "Nowhere/Land")[1], "not known"),
        (times.seconds(pd.Series(pd.to_datetime(["2020-01-01"])))[2], "taken as UTC"),
    ],
)
def test_what_is_lost_is_said(lost, said):
    assert said in lost
