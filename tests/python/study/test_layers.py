"""Which matrix of an AnnData is normalised and which is counts: one policy for all."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellferry.annotate.request import build_study
from cellferry.artifacts.inputs import open_inputs
from cellferry.errors import MarkersRequiredError
from cellferry.study.build import study_from_anndata, study_of_cells
from cellferry.study.h5ad import open_h5ad
from cellferry.study.layers import choose_matrices

N_CELLS = 12
GENES = ["CD3E", "MS4A1", "LYZ", "NKG7"]
COUNTS = np.random.default_rng(0).poisson(2, (N_CELLS, len(GENES))).astype(np.float32) + 1
COUNTS[:, 3] = 0
LOGGED = np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
CPM = (COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e6).astype(np.float32)
FEW = LOGGED * np.array([1, 0, 0, 0], dtype=np.float32)
SCALED = (LOGGED - LOGGED.mean(axis=0)).astype(np.float32)
MARKERS = {"a": ["CD3E"], "b": ["LYZ"]}


def adata(x, genes=GENES, raw=None, raw_genes=GENES, **layers):
    obs = pd.DataFrame({"leiden": ["a"] * 6 + ["b"] * 6}, index=[f"c{i}" for i in range(N_CELLS)])
    made = anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=genes))
    made.layers.update(layers)
    if raw is not None:
        made.raw = anndata.AnnData(raw, obs=obs, var=pd.DataFrame(index=raw_genes))
    return made


csr = sparse.csr_matrix
LAYOUTS = {
    "CELLxGENE: X logged, raw counts": (
        lambda: adata(csr(LOGGED), raw=csr(COUNTS)), LOGGED, COUNTS, GENES),
    "scanpy: X scaled, raw logged with all genes": (
        lambda: adata(SCALED[:, :2], GENES[:2], raw=csr(LOGGED)), LOGGED, None, GENES),
    "scanpy: X scaled, raw logged, a layer of counts": (
        lambda: adata(SCALED, raw=csr(LOGGED), counts=csr(COUNTS)), LOGGED, COUNTS, GENES),
    "X has the variable genes, raw all": (
        lambda: adata(csr(LOGGED[:, :2]), GENES[:2], raw=csr(LOGGED)), LOGGED, None, GENES),
    "X logged, layer counts": (
        lambda: adata(csr(LOGGED), counts=csr(COUNTS)), LOGGED, COUNTS, GENES),
    "X logged and dense, layer raw_counts": (
        lambda: adata(LOGGED, raw_counts=COUNTS), LOGGED, COUNTS, GENES),
    "X counts, layer log1p": (
        lambda: adata(csr(COUNTS), log1p=csr(LOGGED)), LOGGED, COUNTS, GENES),
    "X counts by gene, layer Log_Norm": (
        lambda: adata(sparse.csc_matrix(COUNTS), Log_Norm=sparse.csc_matrix(LOGGED)),
        LOGGED, COUNTS, GENES),
    "layer counts that is empty, raw counts": (
        lambda: adata(csr(LOGGED), raw=csr(COUNTS), counts=csr(COUNTS.shape, dtype="f4")),
        LOGGED, COUNTS, GENES),
    "raw in another order": (
        lambda: adata(csr(LOGGED), raw=csr(COUNTS[:, ::-1]), raw_genes=GENES[::-1]),
        LOGGED, COUNTS, GENES),
    "X imputed, raw logged": (
        lambda: adata(LOGGED + np.float32(0.25), raw=csr(FEW)),
        FEW, None, GENES),
    "X CPM, layer logcounts": (
        lambda: adata(csr(CPM), logcounts=csr(LOGGED)), LOGGED, None, GENES),
}  # fmt: skip


def dense(source):
    return None if source is None else np.vstack([b.toarray() for _, b in source])


def check(study, normalized, counts, genes):
    assert study.genes == tuple(genes)
    np.testing.assert_array_equal(dense(study.normalized), normalized)
    if counts is None:
        assert study.counts is None
    else:
        np.testing.assert_array_equal(dense(study.counts), counts)
    assert len(study.var) == len(genes)


@pytest.mark.filterwarnings("ignore:.*no embedding")
@pytest.mark.parametrize("where", ["memory", "backed"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_verb_reads_the_same(layout, where, tmp_path):
    make, normalized, counts, genes = LAYOUTS[layout]
    made, path = make(), tmp_path / "a.h5ad"
    made.write_h5ad(path)
    if where == "backed":
        if layout.startswith("X imputed"):
            pytest.skip("what X stores is not known of a file")
        made = anndata.read_h5ad(path, backed="r")
    check(study_from_anndata(made, MARKERS, group_key="leiden"), normalized, counts, genes)
    check(study_of_cells(made), normalized, counts, genes)
    given = {"group_key": "leiden", "coordinates_key": "X_umap", "rank_key": "rank_genes_groups"}
    for data in (made, path):
        if data is path and layout.startswith("X imputed"):
            continue
        with open_inputs(data, **given) as inputs:
            check(inputs.study, normalized, counts, genes)
            assert list(inputs.var.index) == list(genes)
            found = [c for c in inputs.candidates if c.look and c.look.kind == "counts"]
            assert bool(found) == (counts is not None)
            if found:
                np.testing.assert_array_equal(dense(found[0].source), counts)


def test_x_with_only_counts():
    made = adata(csr(COUNTS))
    cells = study_of_cells(made)
    assert cells.normalized is None
    np.testing.assert_array_equal(dense(cells.counts), COUNTS)
    assert dense(study_from_anndata(made, MARKERS).normalized).tolist() == COUNTS.tolist()
    with pytest.raises(MarkersRequiredError, match="raw counts"):
        build_study(made)


@pytest.mark.parametrize(
    ("values", "words"),
    [(CPM, "not logged"), (np.zeros_like(CPM), "nothing but zeros"), (SCALED, "scaled")],
)
def test_markers_are_not_made_of_values_that_are_not_logged(values, words):
    with pytest.raises(MarkersRequiredError, match=words):
        build_study(adata(csr(values)))


def test_the_layout_of_cellxgene_gives_markers_of_x():
    logged = LOGGED.copy()
    logged[:6, 0] += 3
    study = build_study(adata(csr(logged), raw=csr(COUNTS)))
    assert study.markers is not None


def test_what_is_damaged_is_still_read_where_there_is_nothing_better():
    damaged = LOGGED.copy()
    damaged[0, 0] = np.nan
    assert choose_matrices(adata(damaged)).normalized.name == "X"
    assert choose_matrices(adata(damaged, raw=csr(LOGGED))).normalized.name == "raw.X"
    assert choose_matrices(adata(damaged, counts=csr(COUNTS))).normalized.name == "X"


def test_what_was_chosen_is_logged_once(caplog):
    with caplog.at_level("INFO", logger="cellferry"):
        study_of_cells(adata(csr(LOGGED), raw=csr(COUNTS)))
    assert caplog.messages == [
        "Log-normalised values are read from X.", "Raw counts are in raw.X.",
    ]  # fmt: skip


def test_matrices_of_a_file_stay_in_it(tmp_path):
    made = adata(csr(LOGGED), raw=csr(COUNTS), counts=csr(COUNTS), spliced=csr(COUNTS))
    made.write_h5ad(tmp_path / "a.h5ad")
    with open_h5ad(tmp_path / "a.h5ad") as opened:
        assert list(opened.layers) == ["counts"]
        assert opened.uns == {}
        assert not choose_matrices(opened).normalized.source.in_memory
