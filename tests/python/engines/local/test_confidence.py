import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.local import Local
from cellferry.engines.local.decision.confidence import (
    FEW_SEEN,
    FURTHEST,
    LEAST_FIT,
    LITTLE,
    allowed,
    confidence,
    features,
)
from cellferry.engines.local.decision.floor import MUCH, scattered
from local_tables import answers, lists, table

B_CELL = ["CD79A", "MS4A1", "CD19", "BANK1", "CD22", "CD79B", "PAX5", "FCRLA"]
FITS = st.floats(LEAST_FIT, 5)
MARGINS = st.floats(0, 1)


@given(FITS, MARGINS, st.floats(0, 1), st.booleans())
def test_more_evidence_is_never_less_sure(fit, margin, more, mixed):
    least = confidence(fit, margin, mixed=mixed)
    assert 0 < least < 1
    assert confidence(fit + more, margin, mixed=mixed) >= least
    assert confidence(fit, min(margin + more, 1), mixed=mixed) >= least


@given(FITS, MARGINS, st.floats(0, 40), st.floats(0, 1), st.floats(0, 10), st.floats(0, 1))
def test_what_chance_gives_too_is_never_sure(fit, margin, seen, part, more, larger):
    sure = confidence(fit, margin, seen, part, mixed=False)
    assert sure <= allowed(seen, part)
    assert confidence(fit, margin, seen + more, part, mixed=False) >= sure
    assert confidence(fit, margin, seen, max(part, larger), mixed=False) >= sure
    if seen <= LITTLE:
        assert sure <= FEW_SEEN
    assert allowed(LITTLE + 1, MUCH / 2) == FEW_SEEN
    assert scattered(part) >= scattered(max(part, larger)) >= 0


def test_beyond_chance_the_evidence_decides():
    """A cluster of several markers is not held back for chance that could not have given them."""
    assert confidence(1.5, 0.5, LITTLE + 2, mixed=False) == confidence(1.5, 0.5, 40, mixed=False)


def test_a_mixture_is_less_sure():
    assert confidence(1.5, 0.3, mixed=True) < confidence(1.5, 0.3, mixed=False)


def test_beyond_what_was_seen_nothing_is_surer():
    assert confidence(1.0, 1.0, mixed=False) == confidence(1.0, FURTHEST, mixed=False)
    assert features(0.0, 0.0, mixed=False) == features(LEAST_FIT, 0.0, mixed=False)
    assert confidence(10.0, 1.0, mixed=False) <= 0.99


def test_packaged_types_are_calibrated_and_those_of_a_user_are_graded():
    found = answers(Local(), table({"0": B_CELL}))["0"]
    assert (found.confidence_kind, found.status) == ("calibrated", "ok")
    mine = {"Ameloblast": ["AMELX", "AMBN", "ENAM", "AMTN", "ODAM"]}
    enamel = lists({"0": ["AMELX", "ENAM", "AMBN", "ODAM"], "1": B_CELL})
    for options in ({}, {"knowledge_only": True}):
        both = answers(Local(knowledge=mine, **options), enamel)
        assert both["0"].label == "Ameloblast"
        assert both["0"].confidence_kind == "graded"
    assert answers(Local(knowledge=mine), enamel)["1"].confidence_kind == "calibrated"


@pytest.mark.parametrize("genes", [["CD79A"], ["GAPDH", "ACTB", "MALAT1"]])
def test_unknown_has_no_confidence(genes):
    found = answers(Local(), lists({"0": genes}))["0"]
    assert (found.status, found.confidence, found.confidence_kind) == ("unknown", None, None)
