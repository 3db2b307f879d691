"""A type that the knowledge does not have becomes what its nearest is a kind of, or Unknown."""

from dataclasses import replace

import numpy as np
import pytest

from cellferry.engines.local import Local
from cellferry.engines.local.decision.silence import is_silent, without_silence
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.knowledge.base import Knowledge
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal, score_types
from local_tables import KNOWLEDGE, answers, listed, table

PROFILES = Profiles.from_knowledge(KNOWLEDGE, "human")
HIERARCHY = Hierarchy.build(KNOWLEDGE, PROFILES)
T_CELL, NK_CELL = (HIERARCHY.index(x) for x in ("T cell", "NK cell"))
SHARED = ["CD2", "CD7", "IL2RB", "CD247", "LCK", "CST7"]
CD3 = ["CD3D", "CD3E", "CD3G", "TRAC"]


def scores(genes, filler=60):
    evidence = Evidence.from_markers(table({"0": genes}, filler=filler), 50)
    return score_types(PROFILES, Signal.read(PROFILES, evidence, 0))


def without(label):
    """The knowledge as if there were no such type, nor a kind of it."""
    gone = {label} | {t.name for t in KNOWLEDGE.types if label in KNOWLEDGE.ancestors[t.name]}
    return Knowledge(tuple(t for t in KNOWLEDGE.types if t.name not in gone))


def test_natural_killer_cells_are_no_t_cells_where_only_those_are_known():
    markers = table({"0": listed("NK cell") + SHARED, "1": listed("B cell"), "2": CD3})
    known = answers(Local(), markers, species="human")["0"]
    assert known.label == "NK cell" or "NK cell" in KNOWLEDGE.ancestors[known.label]
    engine = Local()
    engine._table = without("NK cell")
    found = answers(engine, markers, species="human")["0"]
    assert found.status == "unknown" or "T cell" not in {
        found.label,
        *KNOWLEDGE.ancestors[found.label],
    }


def test_what_a_list_has_is_not_silent():
    found = scores([*CD3, "IL7R", *SHARED])
    assert not is_silent(HIERARCHY, found, T_CELL)
    assert is_silent(HIERARCHY, found, NK_CELL)
    assert without_silence(HIERARCHY, found, T_CELL) == T_CELL


def test_what_a_short_list_leaves_out_is_not_silent():
    found = scores(SHARED, filler=0)
    assert without_silence(HIERARCHY, found, T_CELL) == T_CELL


@pytest.mark.parametrize("prevalence", [0.05, 0.6])
def test_a_gene_that_is_found_in_many_cells_is_not_silent(prevalence):
    found = scores(["IL32"])
    share = np.full(len(PROFILES.genes), prevalence)
    given = replace(found, signal=replace(found.signal, prevalence=share))
    assert is_silent(HIERARCHY, given, T_CELL) == (prevalence < 0.2)
