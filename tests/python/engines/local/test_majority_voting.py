"""Groups of neighbouring cells, and what most of a group are."""

import logging
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import block_diag, csr_matrix

from cell_data import cells
from cellferry import annotate_cells
from cellferry.annotations.cells import CellAnnotations
from cellferry.cli import group
from cellferry.engines.local.cells.groups import FEWEST, near_on_map, over_clustering
from cellferry.engines.local.cells.voting import votes_over, voting_groups, with_votes
from cellferry.study.study import Clusters, Study


def names_of(n):
    return tuple(f"c{i}" for i in range(n))


def complete(n):
    return np.ones((n, n)) - np.eye(n)


def partition(cells, codes):
    """The groups as sets of names."""
    return {frozenset(np.array(cells)[codes == i].tolist()) for i in range(int(codes.max()) + 1)}


def voted(found, study):
    return with_votes(found, study, voting_groups(study))


def study_of(n, *, graph=None, coordinates=None):
    codes = np.full(n, -1, dtype=np.int32)
    return Study(Clusters((), codes), cells=names_of(n), graph=graph, coordinates=coordinates)


def test_parts_of_the_graph_that_no_link_joins_are_groups():
    graph = csr_matrix(block_diag([complete(30), complete(25), complete(3)]))
    codes = over_clustering(names_of(58), graph)
    assert np.bincount(codes).tolist() == [25, 30, 3]
    # A cell without neighbours is a group by itself.
    alone = csr_matrix(block_diag([complete(30), np.zeros((1, 1))]))
    assert np.bincount(over_clustering(names_of(31), alone)).tolist() == [30, 1]


def test_a_group_joins_the_one_with_the_strongest_links_for_each_cell_there():
    # A pair has links of 1 to each of 40 cells on one side, and of 3 to one of 40 on the other.
    links = np.zeros((82, 82))
    links[:40, :40] = links[40:80, 40:80] = 9
    links[80:, 80:] = 9
    links[80:, :40] = links[:40, 80:] = 1
    links[80:, 40] = links[40, 80:] = 3
    np.fill_diagonal(links, 0)
    codes = over_clustering(names_of(82), csr_matrix(links))
    assert len(set(codes[:40])) == len(set(codes[40:80])) == 1
    assert codes[0] != codes[40]
    # Two cells with 1 x 40 links each, shared by 40 cells, against 3 shared by 40.
    assert codes[80] == codes[81] == codes[0]


def test_groups_are_small_and_none_that_has_links_is_smaller_than_the_least():
    random = np.random.default_rng(1)
    places = random.normal(size=(3000, 2))
    codes = over_clustering(names_of(3000), coordinates=places)
    sizes = np.bincount(codes)
    assert sizes.min() >= FEWEST
    assert np.median(sizes) < 6 * FEWEST
    assert sizes.max() < 3000 / 4


def test_links_that_are_all_alike_make_no_chain_of_numbered_names():
    n = 4000
    ring = csr_matrix((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    codes = over_clustering(names_of(n), ring)
    sizes = np.bincount(codes)
    assert sizes.min() >= FEWEST
    assert sizes.max() < 20 * FEWEST
    assert (codes == over_clustering(names_of(n), ring)).all()
    # Which of equal links counts is decided by the names.
    other = over_clustering([f"x{i}" for i in range(n)], ring)
    assert partition(names_of(n), other) != partition(names_of(n), codes)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 150), st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_order_of_cells_changes_no_group(n, seed, on_map, tied):
    random = np.random.default_rng(seed)
    names = np.array(names_of(n))
    places = random.normal(size=(n, 2))
    places = places.round(0) if tied else places
    if random.random() < 0.3:
        places[random.integers(n)] = np.nan
    weights = random.random((n, n)).astype(np.float32)
    weights = np.where(weights > 0.9, 1 if tied else weights, 0)
    order = random.permutation(n)

    def groups(at):
        if on_map:
            return over_clustering(names[at].tolist(), coordinates=places[at])
        return over_clustering(names[at].tolist(), csr_matrix(weights[at][:, at]))

    plain, shuffled = groups(np.arange(n)), groups(order)
    assert (plain[order] == shuffled).all()
    assert sorted(set(plain.tolist())) == list(range(int(plain.max()) + 1))


def test_neighbours_on_a_map_are_others_also_at_the_same_place():
    places = np.zeros((40, 2))
    places[20:] = 5
    near = near_on_map(places)
    assert near.diagonal().sum() == 0
    assert (np.diff(near.indptr) == 8).all()
    assert near[:20, 20:].nnz == near[20:, :20].nnz == 0
    assert np.isfinite(near.data).all()
    places[3] = np.nan
    assert near_on_map(places)[3].nnz == near_on_map(places)[:, 3].nnz == 0
    assert near_on_map(np.full((3, 2), np.nan)).nnz == 0


def calls(labels):
    status = ["unknown" if x == "Unknown" else "skipped" if x is None else "ok" for x in labels]
    error = ["No counts." if x is None else None for x in labels]
    return CellAnnotations.of(names_of(len(labels)), labels, status=status, error=error)


def test_the_vote_is_the_majority_of_each_group_and_the_label_stays():
    labels = ["T cell"] * 20 + ["B cell"] * 4 + ["Unknown"] * 3 + ["Mast cell"] * 25
    graph = csr_matrix(block_diag([complete(27), complete(25)]))
    found = voted(calls(labels), study_of(52, graph=("connectivities", graph)))
    assert found.voted.values().tolist() == ["T cell"] * 27 + ["Mast cell"] * 25
    assert found.label.values().tolist() == labels
    note = {"of": "connectivities", "groups": 2, "differ": 7}
    assert found.evidence["over_clustering"] == note


def test_of_labels_with_as_many_cells_the_first_by_name_and_unknown_last():
    graph = csr_matrix(complete(20))
    study = study_of(20, graph=("g", graph))
    tied = voted(calls(["T cell"] * 10 + ["B cell"] * 10), study)
    assert set(tied.voted.values()) == {"B cell"}
    unknown = voted(calls(["T cell"] * 10 + ["Unknown"] * 10), study)
    assert set(unknown.voted.values()) == {"T cell"}
    none = voted(calls([None] * 20), study)
    assert set(none.voted.values()) == {None}


TERMS = {"T cell": "CL:0000084", "CD4 T cell": "CL:0000624", "B cell": "CL:0000236"}


def most_by_hand(labels):
    """The narrowest label of more than half, kinds of it counted; else what most are by name."""
    counts = Counter(x for x in labels if x is not None)
    if not counts:
        return None
    support = {x: n + (counts["CD4 T cell"] if x == "T cell" else 0) for x, n in counts.items()}
    order = sorted(counts, key=lambda x: (-counts[x], x == "Unknown", x))
    most = [x for x in order if support[x] > counts.total() / 2]
    return min(most, key=lambda x: (support[x], order.index(x)), default=order[0])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([*TERMS, "Unknown", None]), min_size=4, max_size=40),
    st.integers(1, 4),
)
def test_a_vote_is_the_majority_that_clusters_have(labels, n):
    found = replace(calls(labels), ontology={x: (i, x) for x, i in TERMS.items()})
    codes = (np.arange(len(labels)) % n).astype(np.int32)
    groups = Clusters(tuple(map(str, range(n))), codes)
    expected = [most_by_hand([x for x, c in zip(labels, codes, strict=True) if c == k])
                for k in range(n)]  # fmt: skip
    assert [row.label for row in found.majority(groups)] == expected
    named = [None if i < 0 else found.label.levels[i] for i in found.most(groups).tolist()]
    assert named == expected


def test_a_map_of_other_things_than_expression_is_not_read():
    places = np.zeros((30, 2))
    for name in ("X_pca", "spatial", "X_scVI"):
        assert votes_over(study_of(30, coordinates=(name, places))) is None
    for name in ("X_umap", "UMAP", "tsne", "X_t-SNE", "umap.harmony"):
        assert votes_over(study_of(30, coordinates=(name, places))) == name
    graph = ("RNA_snn", csr_matrix(complete(30)))
    assert votes_over(study_of(30, graph=graph, coordinates=("umap", places))) == "RNA_snn"


def test_without_a_graph_and_a_map_there_is_no_vote_and_it_is_said(caplog):
    adata = cells(120)
    with caplog.at_level(logging.INFO, logger="cellferry"):
        found = annotate_cells(adata, progress=False)
    assert found.voted is None
    assert "cell_type_cell_voted" not in adata.obs
    said = (
        "majority voting: none, because the object has no neighbour graph and no UMAP or t-SNE. "
        "scanpy.pp.neighbors(adata) makes a graph."
    )
    assert said in [record.getMessage() for record in caplog.records]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="cellferry"):
        annotate_cells(cells(120), majority_voting=False, progress=False)
    assert not [r for r in caplog.records if "majority voting" in r.getMessage()]


def test_the_column_is_written_kept_and_replaced(tmp_path):
    adata = cells(120, clusters=False)
    truth = adata.obs["truth"].to_numpy()
    adata.obsp["connectivities"] = csr_matrix((truth[:, None] == truth[None, :]).astype(float))
    found = annotate_cells(adata, progress=False)
    assert adata.obs["cell_type_cell_voted"].astype(str).tolist() == found.voted.values().tolist()
    assert len(set(found.voted.values())) == 3
    assert "cell_type_cell_voted" in found.provenance["columns"]
    assert found.to_frame()["voted"].astype(str).tolist() == found.voted.values().tolist()
    found.save(tmp_path / "cells.npz")
    assert CellAnnotations.load(tmp_path / "cells.npz").to_frame().equals(found.to_frame())
    more = found.with_skipped(("z",), "Not measured.")
    assert more.voted.values().tolist() == [*found.voted.values(), None]
    # What was written is replaced by what is written next, without a question.
    annotate_cells(adata, majority_voting=False, progress=False)
    assert "cell_type_cell_voted" not in adata.obs


@pytest.mark.parametrize("context", [True, False])
def test_votes_are_of_the_call_of_each_cell(context):
    adata = cells(120)
    adata.obsm["X_umap"] = np.random.default_rng(2).normal(size=(120, 2))
    found = annotate_cells(adata, context=context, progress=False)
    alone = annotate_cells(cells(120), context=False, majority_voting=False, progress=False)
    study = study_of(120, coordinates=("X_umap", adata.obsm["X_umap"]))
    study = study.with_parts(cells=alone.cells)
    assert found.voted.values().tolist() == voted(alone, study).voted.values().tolist()


@pytest.mark.parametrize("vote", [True, False])
def test_the_command_line_writes_the_column(tmp_path, vote):
    adata = cells(60, clusters=False)
    adata.obsp["connectivities"] = csr_matrix(complete(60))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    command = ["annotate", str(tmp_path / "cells.h5ad"), "--cells", "--out", str(tmp_path / "out")]
    command += [] if vote else ["--option", "majority_voting=false"]
    result = CliRunner().invoke(group, command)
    assert result.exit_code == 0, result.output
    header = (tmp_path / "out_cells.csv").read_text().splitlines()[0].split(",")
    assert ("cell_type_cell_voted" in header) == vote
