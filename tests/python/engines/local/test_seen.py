"""How much was seen: chance, few genes, short lists, panels, and a weak second lineage."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cellferry.engines.local import Local
from cellferry.engines.local.decision.confidence import FEW_SEEN
from cellferry.engines.local.decision.floor import LEAST_SEEN
from cellferry.engines.local.decision.seen import _tail as tail
from cellferry.engines.local.decision.seen import surprise
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal
from local_tables import KNOWLEDGE, answers, listed, lists, table

PROFILES = Profiles.from_knowledge(KNOWLEDGE, "human")
HIERARCHY = Hierarchy.build(KNOWLEDGE, PROFILES)


def seen(genes, name):
    evidence = Evidence.from_markers(table({"0": genes}), 50)
    signal = Signal.read(PROFILES, evidence, 0)
    return surprise(HIERARCHY, signal, HIERARCHY.index(name), subtypes=False)


def test_the_surprise_is_the_hypergeometric_tail():
    genes = listed("Hepatocyte")[:2]
    of_type = int(HIERARCHY.marks[HIERARCHY.index("Hepatocyte")].sum())
    by_chance = math.comb(of_type, 2) / math.comb(int(HIERARCHY.counted.sum()), 2)
    assert seen(genes, "Hepatocyte") == pytest.approx(-math.log10(by_chance))


def test_more_markers_are_more_of_a_surprise_and_others_less():
    hepatocyte = listed("Hepatocyte")
    found = [seen(hepatocyte[:n], "Hepatocyte") for n in (1, 2, 4, 8, 16)]
    assert found == sorted(found)
    others = listed("Astrocyte")[:10]
    assert seen(hepatocyte[:4] + others, "Hepatocyte") < found[2]
    assert seen(others, "Hepatocyte") < LEAST_SEEN


@pytest.mark.parametrize("species", ["human", "mouse"])
@pytest.mark.parametrize("length", [10, 50, 200])
def test_lists_of_random_markers_are_unknown(species, length):
    rng = np.random.default_rng(7)
    pool = sorted(KNOWLEDGE.names_of_genes(species))
    drawn = {str(i): rng.choice(pool, length, replace=False).tolist() for i in range(200)}
    found = answers(Local(), lists(drawn), species=species)
    named = [r for r in found if r.status == "ok"]
    assert len(named) <= 0.03 * len(drawn)
    assert all(r.confidence <= FEW_SEEN for r in named)


def test_two_genes_alone_are_no_sure_answer():
    found = answers(Local(), lists({"0": ["CD79A", "MS4A1"]}))["0"]
    assert found.label == "B cell"
    assert found.confidence <= FEW_SEEN


def test_leaders_of_one_kind_give_what_they_share():
    """One gene of each of several subtypes names none of them, but all of them together."""
    genes = ["GJA5", "SEMA3G", "ACKR1", "CA4", "CLDN5", "RAMP2", "AQP1"]
    found = answers(Local(), lists({"0": genes}))["0"]
    assert found.status == "ok"
    ids = {t.name: KNOWLEDGE.ancestors[t.name] for t in KNOWLEDGE.types}
    assert found.label == "Endothelial cell" or "Endothelial cell" in ids[found.label]


def test_a_weak_second_lineage_takes_from_the_confidence():
    pure = answers(Local(), table({"0": listed("Hepatocyte")}))["0"]
    more = [*listed("Hepatocyte"), *listed("Neutrophil")[5:11]]
    mixed = answers(Local(), table({"0": more}))["0"]
    assert mixed.label == "Hepatocyte"
    assert mixed.mixed or mixed.confidence < pure.confidence


def test_one_leader_without_enough_of_its_own_gives_what_it_is_a_kind_of():
    """One gene of macrophages and others of myeloid cells are no macrophage, but myeloid."""
    found = answers(Local(), lists({"0": ["C1QC", "TYROBP", "FCER1G", "AIF1", "SPI1"]}))["0"]
    assert found.status == "ok"
    assert "Leukocyte" in {found.label, *KNOWLEDGE.ancestors[found.label]}


@pytest.mark.parametrize(
    ("shared", "known", "drawn", "total"),
    [(0, 5, 5, 100), (3, 20, 50, 1000), (40, 60, 200, 5000), (5, 5, 5, 12)],
)
def test_the_tail_is_exact(shared, known, drawn, total):
    ways = sum(
        math.comb(known, k) * math.comb(total - known, drawn - k)
        for k in range(shared, min(known, drawn) + 1)
    )
    exact = math.log10(ways) - math.log10(math.comb(total, drawn))
    assert tail(shared, known, drawn, total) == pytest.approx(min(exact, 0.0), abs=1e-9)


def test_of_thousands_of_raised_genes_more_than_the_best_are_looked_at():
    others = sorted(set(KNOWLEDGE.names_of_genes("human")) - set(listed("Hepatocyte")))
    strong = table({"0": others[:120:2]}, 8.0, filler=0)
    found = {}
    for weak in ([], listed("Hepatocyte")):
        both = [*others[:120:2], *weak]
        markers = table({"0": both}, 8.0, filler=0)
        fold = np.where(np.isin(markers.gene, weak), 1.0, 8.0) if weak else strong.avg_log2fc
        evidence = Evidence.from_markers(replace(markers, avg_log2fc=fold), 50)
        signal = Signal.read(PROFILES, evidence, 0)
        i = HIERARCHY.index("Hepatocyte")
        found[bool(weak)] = surprise(HIERARCHY, signal, i, subtypes=False)
    assert found[True] > found[False] + 5
