"""One check for each kind of value; every caller's message is made here."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.artifacts.build import LEAST
from cellferry.engines.cytetype import options as cytetype
from cellferry.errors import InvalidOptionError
from cellferry.study.options import flag, number, one_of, or_none, path, text, whole_number

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(2**52), st.floats(),
    st.text(max_size=60), st.binary(), st.lists(st.integers(), max_size=2), st.complex_numbers(),
)  # fmt: skip
QC = ("warn", "filter", "off")


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        (whole_number("n", 3.0, 1), 3),
        (whole_number("n", np.int64(3), 1), 3),
        (whole_number("n", np.float32(3), 3, 3), 3),
        (number("x", 3, 0), 3.0),
        (number("x", Fraction(1, 2), above=0), 0.5),
        (number("x", 2**53 + 2), 9007199254740994.0),
        (number("x", math.inf), math.inf),
        (flag("f", np.bool_(True)), True),
        (one_of("qc", "off", QC), "off"),
        (text("t", " a "), " a "),
        (path("p", Path("a") / "b"), str(Path("a") / "b")),
        (or_none(number, "x", None, 0), None),
        (or_none(number, "x", 1, 0), 1.0),
    ],
)
def test_a_valid_value_is_settled(found, settled):
    assert found == settled
    assert type(found) is type(settled)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: whole_number("n", 0, 1), "`n` must be a whole number of at least 1, not 0."),
        (lambda: whole_number("n", 2.5, 1), "`n` must be a whole number of at least 1, not 2.5."),
        (lambda: whole_number("n", True, 1), "`n` must be a whole number of at least 1, not True."),
        (lambda: whole_number("n", "5", 1), "`n` must be a whole number of at least 1, not '5'."),
        (
            lambda: whole_number("n", 10**6, 1, 100_000),
            "`n` must be a whole number from 1 to 100,000, not 1000000.",
        ),
        (lambda: number("x", -1, 0), "`x` must be a number of at least 0, not -1."),
        (lambda: number("x", 2, 0, 1), "`x` must be a number from 0 to 1, not 2."),
        (lambda: number("x", 0, above=0), "`x` must be a number above 0, not 0."),
        (
            lambda: number("x", 2**53 + 1),
            "`x` must be a number, not 9007199254740993.",
        ),
        (
            lambda: number("x", np.int64(2**53 + 1)),
            "`x` must be a number, not 9007199254740993.",
        ),
        (lambda: number("x", Fraction(10**400)), "`x` must be a number, not a long number."),
        (
            lambda: whole_number("n", -(10**5000), 1),
            "`n` must be a whole number of at least 1, not a long number.",
        ),
        (
            lambda: number("x", 10**5000, 0),
            "`x` must be a number of at least 0, not a long number.",
        ),
        (lambda: number("x", math.inf, 0), "`x` must be a number of at least 0, not inf."),
        (lambda: or_none(number, "x", "1"), "`x` must be a number or None, not '1'."),
        (lambda: or_none(number, "x", math.nan), "`x` must be a number or None, not nan."),
        (lambda: flag("f", 1), "`f` must be True or False, not 1."),
        (lambda: or_none(flag, "f", "no"), "`f` must be True, False or None, not 'no'."),
        (
            lambda: one_of("qc", "maybe", QC),
            '`qc` must be one of "warn", "filter", "off", not \'maybe\'.',
        ),
        (
            lambda: or_none(one_of, "qc", ["off"], QC),
            '`qc` must be one of "warn", "filter", "off" or None, not list.',
        ),
        (lambda: text("t", " "), "`t` must be text that is not empty, not ' '."),
        (lambda: text("t", None), "`t` must be text that is not empty, not None."),
        (lambda: path("p", None), "`p` must be a path, not None."),
    ],
)
def test_what_is_valid_and_what_was_given_is_said(call, said):
    with pytest.raises(InvalidOptionError) as error:
        call()
    assert error.value.message == said
    assert error.value.data["option"] == said.split("`")[1]


def test_the_hint_names_the_nearest_word_or_is_the_callers():
    with pytest.raises(InvalidOptionError) as error:
        one_of("qc", "Filtre", QC, hint="See the help.")
    assert error.value.hint == 'Did you mean "filter"?'
    with pytest.raises(InvalidOptionError) as error:
        one_of("qc", "zzz", QC, hint="See the help.")
    assert error.value.hint == "See the help."


def test_what_may_be_a_key_in_the_wrong_place_is_not_repeated():
    key = "sk-canary-" + "0123456789" * 4
    for value in (key, [key], {"apiKey": key}):
        with pytest.raises(InvalidOptionError) as error:
            flag("overwrite", value)
        assert "canary" not in str(error.value)


@given(ANYTHING, st.integers(-3, 3), st.integers(-3, 3))
def test_whatever_is_given_is_settled_or_refused(value, least, span):
    for check, kind, arguments in (
        (whole_number, int, (least, least + abs(span))),
        (number, float, (least, least + abs(span))),
        (number, float, ()),
        (flag, bool, ()),
        (one_of, str, (QC,)),
        (text, str, ()),
        (path, str, ()),
    ):
        try:
            found = check("option", value, *arguments)
        except InvalidOptionError:
            continue
        assert type(found) is kind
        assert found == value
        if arguments and kind is not str:
            assert arguments[0] <= found <= arguments[1]


def test_the_same_option_has_the_same_limit_everywhere():
    for name, least in LEAST.items():
        assert cytetype._WHOLE[name] == least, name
