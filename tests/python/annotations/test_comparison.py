"""Two sets of labels beside each other."""

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cellferry import errors
from cellferry.annotations.agreement.comparison import RELATIONS, adjusted_rand, distance, relation
from cellferry.biology.ontology import cell_ontology

REAL = cell_ontology()
IN_USE = sorted(i for i, t in REAL.terms.items() if not t.obsolete)
terms = st.sampled_from([*IN_USE, "text:mine", "text:other", None])
MIRRORED = {"descendant": "ancestor", "ancestor": "descendant"}


@settings(deadline=None)
@given(terms, terms)
def test_a_relation_is_mirrored(one, other):
    there, back = relation(one, other), relation(other, one)
    assert back == MIRRORED.get(there, there)
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (there == "exact")


@settings(deadline=None)
@given(st.sampled_from(IN_USE), st.data())
def test_an_ancestor_is_one(term, data):
    above = data.draw(st.sampled_from([term, *REAL.ancestors(term)]))
    assert relation(term, above) == ("exact" if term == above else "descendant")


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [("CD4 T cell", "CD8 T cell", "sibling"), ("classical monocyte", "non-classical monocyte",
      "sibling"), ("T cell", "B cell", "other_lineage"), ("NK cell", "fibroblast",
      "other_lineage"), ("T cell", "Mystery", "no_term"), ("Mystery", "mysteries", "exact"),
     ("Unknown", "T cell", "none")],
)  # fmt: skip
def test_what_people_mean_by_a_relation(one, other, wanted):
    from cellferry.annotations.agreement.terms import Resolver

    resolver = Resolver()
    assert relation(resolver.term(one), resolver.term(other)) == wanted


partitions = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 2)
)


@settings(deadline=None)
@given(partitions)
def test_adjusted_rand_is_what_counting_pairs_says(both):
    one, other = both
    counts = np.zeros((4, 4), dtype=np.int64)
    np.add.at(counts, (one, other), 1)
    same = [(one[i] == one[j], other[i] == other[j])
            for i in range(len(one)) for j in range(i)]  # fmt: skip
    together, first = sum(a and b for a, b in same), sum(a for a, _ in same)
    second = sum(b for _, b in same)
    expected, most = first * second / len(same), (first + second) / 2
    wanted = 1.0 if most == expected else (together - expected) / (most - expected)
    assert adjusted_rand(counts) == pytest.approx(wanted)
    assert adjusted_rand(counts.T) == pytest.approx(wanted)
    assert adjusted_rand(counts[::-1]) == pytest.approx(wanted)


@pytest.fixture
def adata():
    obs = pd.DataFrame(
        {
            "leiden": list("0011122"),
            "mine": ["CD4 T cell"] * 2 + ["B cell"] * 3 + ["Monocyte"] * 2,
            "theirs": ["T cell", "T cell", "Naive B cell", "B cell", "NK cell", "Fibroblast", None],
        },
        index=[f"c{i}" for i in range(7)],
    )
    return anndata.AnnData(obs=obs)


def test_clusters_cells_and_table(adata):
    found = cellferry.compare_labels(adata, "mine", "theirs")
    rows = {row.cluster: row for row in found.rows}
    assert rows["CD4 T cell"].relation == "descendant"
    assert (rows["B cell"].agreeing, rows["B cell"].look) == (pytest.approx(2 / 3), "mixed")
    assert (rows["Monocyte"].relation, rows["Monocyte"].look) == ("other_lineage",) * 2
    assert found.to_look_at == ["B cell", "Monocyte"]
    assert found.cells.values().tolist() == [
        "descendant", "descendant", "ancestor", "exact", "other_lineage", "other_lineage", "none"
    ]  # fmt: skip
    table = found.confusion_frame()
    assert table.loc["CD4 T cell", "T cell"] == 2
    assert int(table.to_numpy().sum()) == 6
    assert set(found.shares) <= set(RELATIONS)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.to_frame()["n_cells"].tolist() == [3, 2, 2]
    assert 'look at "B cell", "Monocyte"' in repr(found)
    assert "<table" in found._repr_html_()


def test_clusters_are_those_of_the_annotation(adata):
    cellferry.annotate_clusters(
        adata, {"0": ["CD3E", "CD3D", "TRAC"], "1": ["CD79A", "MS4A1", "CD19"],
                "2": ["CD14", "LYZ", "S100A8"]},
        group_key="leiden", progress=False,
    )  # fmt: skip
    found = cellferry.compare_labels(adata, with_="mine")
    assert [row.cluster for row in found.rows] == ["0", "1", "2"]
    assert found.key == "cell_type"


@pytest.mark.parametrize(
    ("with_", "message"),
    [("mine", "compared with itself"), ("theris", 'no annotation, column or known tool "theris"')],
)
def test_what_cannot_be_compared_is_said(adata, with_, message):
    with pytest.raises(errors.InvalidOptionError, match=message):
        cellferry.compare_labels(adata, "mine", with_)
