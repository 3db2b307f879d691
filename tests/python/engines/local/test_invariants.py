"""What must not change the answers of the local engine, and how long they may take."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.engines.local import Local
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal, score_types
from cellferry.errors import KnowledgeWarning
from cellferry.study.markers.table import Markers
from local_tables import BLOOD, KNOWLEDGE, answers, listed, reordered, table

SUBSETS = st.lists(st.sampled_from(sorted({g for v in BLOOD.values() for g in v})), max_size=25)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), SUBSETS, min_size=1), st.randoms())
def test_the_order_of_rows_and_clusters_changes_nothing(clusters, random):
    markers = table(clusters)
    rows = list(range(len(markers.gene)))
    names = list(markers.clusters)
    random.shuffle(rows)
    random.shuffle(names)
    one = answers(Local(), markers)
    other = answers(Local(), reordered(markers, rows, names))
    assert {r.cluster: r for r in one} == {r.cluster: r for r in other}
    assert dict(one.evidence) == dict(other.evidence)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SUBSETS, st.integers(0, 3))
def test_duplicated_rows_change_nothing(genes, times):
    markers = table({"0": genes, "1": BLOOD["1"]})
    rows = [*range(len(markers.gene)), *range(min(times, len(markers.gene)))]
    assert answers(Local(), markers).rows == answers(Local(), reordered(markers, rows)).rows


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SUBSETS, st.sampled_from(["T cell", "B cell", "Platelet"]))
def test_an_unrelated_tissue_changes_nothing(genes, replaced):
    """A new type whose genes no other type lists and no cluster has."""
    markers = table({"0": genes, "1": BLOOD["1"], "2": listed(replaced)})
    own = {"Unrelated": [f"UNRELATED{i}" for i in range(12)]}
    with pytest.warns(KnowledgeWarning, match="12 genes"):
        added = Local(knowledge=own)
    assert answers(added, markers).rows == answers(Local(), markers).rows


@pytest.mark.parametrize("name", ["B cell", "T cell", "Platelet", "Hepatocyte", "Neuron"])
def test_a_marker_that_is_listed_twice_counts_once(name):
    positive = KNOWLEDGE.by_name[name].positive["human"]
    once = " ".join(f"{m.name}*{m.tier}" for m in positive)
    markers = table({"0": listed(name), "1": BLOOD["4"]})
    found = [
        answers(Local(knowledge={"name": ["Mine"], "positive": [text]}), markers).rows
        for text in (once, f"{once} {once}")
    ]
    assert found[0] == found[1]


def test_long_lists_of_markers_do_not_attract_random_genes():
    """Over random rankings the number of markers of a type says little about its fit."""
    generator = np.random.default_rng(1)
    profiles = Profiles.from_knowledge(KNOWLEDGE, "human")
    universe = np.array([*profiles.genes, *(f"X{i}" for i in range(12_000))], dtype=object)
    fits = []
    for _ in range(60):
        genes = generator.choice(universe, 800, replace=False).tolist()
        evidence = Evidence.from_markers(table({"0": genes}, filler=0), 50, universe.tolist())
        fits.append(score_types(profiles, Signal.read(profiles, evidence, 0)).fit)
    mean = np.mean(fits, axis=0)
    sizes = (profiles.own > 0).sum(axis=1)
    typed = sizes > 0
    assert np.abs(mean[typed]).max() < 0.2
    assert abs(np.corrcoef(sizes[typed], mean[typed])[0, 1]) < 0.5


def test_names_of_clusters_are_kept_as_they_are():
    names = ["10", "2", "T/NK", "Ü 🧬", " x ", "7_0"]
    found = answers(Local(), table(dict.fromkeys(names, BLOOD["1"])))
    assert [row.cluster for row in found] == names
    assert {row.label for row in found} == {"B cell"}


def test_thirty_clusters_of_a_thousand_rows_take_less_than_a_second():
    generator = np.random.default_rng(0)
    n = 30_000
    known = sorted({g for t in KNOWLEDGE.types for g in listed_or_nothing(t)})
    universe = np.array([*known, *(f"LINC{i}" for i in range(15_000))], dtype=object)
    genes = np.concatenate([generator.choice(universe, 1000, replace=False) for _ in range(30)])
    markers = Markers(
        clusters=tuple(map(str, range(30))),
        cluster=np.repeat(np.arange(30), 1000).astype(np.int32),
        gene=genes,
        avg_log2fc=generator.exponential(1, n),
        p_val_adj=np.zeros(n),
        pct_1=generator.uniform(0.3, 1, n),
        pct_2=generator.uniform(0, 0.5, n),
    )
    Local()
    began = time.process_time()
    answers(Local(), markers)
    assert time.process_time() - began < 1


def listed_or_nothing(cell_type):
    return [m.name for m in cell_type.positive.get("human", ())]
