"""Real objects of R become AnnData; what R says of them is the truth."""

import json

import anndata
import numpy as np
import pytest

import cellferry
from cellferry import errors
from r_session import needs_rpy2, pbmc, r, r_with, seurat_generation

pytestmark = needs_rpy2


def to_anndata(robj, **options):
    from cellferry.seurat import to_anndata as convert

    return convert(robj, **options)


def dense(code, **values):
    """A matrix of R as an array with rows as rows, by a way of its own."""
    flat = np.array(list(r_with(f"as.double(as.matrix({code}))", **values)))
    shape = [int(n) for n in r_with(f"dim({code})", **values)]
    return flat.reshape(shape, order="F")


def layer(name):
    """R code for a layer of the object `x`, by the functions of its generation."""
    argument = "layer" if seurat_generation() >= 5 else "slot"
    return f"SeuratObject::GetAssayData(x, {argument} = '{name}')"


def report_of(adata):
    frame = adata.uns["seurat"]["report"]
    return {(kind, item): action for item, kind, action in zip(
        frame["item"], frame["kind"], frame["action"], strict=True)}  # fmt: skip


def test_values_names_and_embeddings_of_pbmc_small():
    robj = pbmc()
    adata = to_anndata(robj)
    assert list(adata.obs_names) == list(r_with("colnames(x)", x=robj))
    assert list(adata.var_names) == list(r_with("rownames(x)", x=robj))
    np.testing.assert_array_equal(adata.X.toarray(), dense(layer("data"), x=robj).T)
    np.testing.assert_array_equal(
        adata.layers["counts"].toarray(), dense(layer("counts"), x=robj).T
    )
    for name in ("pca", "tsne"):
        expected = dense(f"SeuratObject::Embeddings(x, '{name}')", x=robj)
        np.testing.assert_array_equal(adata.obsm[f"X_{name}"], expected)
    graph = dense("x@graphs$RNA_snn", x=robj)
    np.testing.assert_array_equal(adata.obsp["RNA_snn"].toarray(), graph)
    genes = list(r_with("rownames(SeuratObject::Loadings(x, 'pca'))", x=robj))
    loadings = adata[:, genes].varm["PCs"]
    np.testing.assert_array_equal(loadings, dense("SeuratObject::Loadings(x, 'pca')", x=robj))
    assert np.isnan(adata.varm["PCs"]).all(axis=1).sum() == adata.n_vars - len(genes)


def test_a_joined_layer_shares_the_memory_of_r():
    robj = pbmc()
    first, second = to_anndata(robj), to_anndata(robj)
    assert first.X.data.ctypes.data == second.X.data.ctypes.data
    assert not first.X.data.flags.writeable
    own = to_anndata(robj, copy=True)
    assert own.X.data.flags.writeable
    own.X.data *= 0
    assert first.X.data.any()


def test_metadata_is_that_of_r():
    robj = pbmc()
    obs = to_anndata(robj).obs
    assert list(obs["groups"]) == list(r_with("x$groups", x=robj))
    assert str(obs["nFeature_RNA"].dtype) == "int32"
    levels = r_with("levels(x$letter.idents)", x=robj)
    assert list(obs["letter.idents"].cat.categories) == list(levels)


def test_identities_without_a_column_become_one():
    robj = r_with("{ x@meta.data$RNA_snn_res.1 <- NULL; x }", x=pbmc())
    adata = to_anndata(robj)
    assert list(adata.obs["ident"].astype(str)) == list(
        r_with("as.character(SeuratObject::Idents(x))", x=robj)
    )
    taken = r_with("{ x$ident <- 1; x }", x=robj)
    assert to_anndata(taken).uns["seurat"]["active_ident"] == "seurat_ident"


def test_what_anndata_cannot_hold_is_reported_once():
    report = report_of(to_anndata(pbmc()))
    assert report["layer", "data"] == report["layer", "counts"] == "taken"
    assert report["layer", "scale.data"] == "left"
    assert report["command", "FindClusters"] == "left"
    assert report["part of a reduction", "pca: jackstraw"] == "left"


def test_the_result_can_be_written_and_read(tmp_path):
    adata = to_anndata(pbmc())
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    np.testing.assert_array_equal(back.X.toarray(), adata.X.toarray())
    assert report_of(back) == report_of(adata)


def test_slices_and_copies_work_on_the_shared_memory():
    adata = to_anndata(pbmc())
    part = adata[adata.obs["groups"] == "g1", :10].copy()
    part.X.data *= 2
    np.testing.assert_array_equal(
        part.X.toarray(), 2 * adata[adata.obs["groups"] == "g1", :10].X.toarray()
    )


def test_another_assay_by_name():
    robj = r_with(
        "{ m <- matrix(c(1, 0, 2), 3, 80, dimnames = list(c('p1', 'p2', 'p3'), colnames(x)));"
        " x[['ADT']] <- SeuratObject::CreateAssayObject(counts = as(m, 'CsparseMatrix')); x }",
        x=pbmc(),
    )
    adata = to_anndata(robj, assay="ADT")
    assert (list(adata.var_names), adata.uns["seurat"]["assay"]) == (["p1", "p2", "p3"], "ADT")
    assert report_of(adata)["assay", "RNA"] == "left"
    with pytest.raises(errors.InvalidOptionError, match='no assay "ADTT"'):
        to_anndata(robj, assay="ADTT")


def test_counts_alone_are_x():
    robj = r(
        "{ library(Matrix); m <- as(matrix(c(1, 0, 2, 3), 2, dimnames = list(c('a', 'b'),"
        " c('c1', 'c2'))), 'CsparseMatrix'); suppressWarnings(CreateSeuratObject(m)) }"
    )
    adata = to_anndata(robj)
    np.testing.assert_array_equal(adata.X.toarray(), [[1, 0], [2, 3]])
    frame = adata.uns["seurat"]["report"].set_index("item")
    if seurat_generation() < 5:
        assert frame.loc["data", "why"] == "The values of data look raw, not log-normalised."
    else:
        assert adata.uns["seurat"]["X"] == "counts"


def test_an_assay_of_seurat_4_is_read_by_seurat_5_too():
    older, newer = to_anndata(pbmc(older_assay=True)), to_anndata(pbmc())
    assert (older.X != newer.X).nnz == 0
    assert older.obs.equals(newer.obs)


def test_a_split_assay_of_seurat_5_is_put_together_in_the_order_of_the_cells():
    if seurat_generation() < 5:
        pytest.skip("SeuratObject 5 is not installed")
    robj = pbmc()
    split = r_with("{ x[['RNA']] <- split(x[['RNA']], f = x$groups); x }", x=robj)
    whole, made = to_anndata(robj), to_anndata(split)
    assert (made.X != whole.X).nnz == 0
    assert (made.layers["counts"] != whole.layers["counts"]).nnz == 0
    frame = made.uns["seurat"]["report"]
    assert "2 layers put together" in frame.set_index("item").loc["data", "what"]


def test_a_single_cell_experiment_crosses_with_na_and_factors():
    robj = r(
        "{ suppressPackageStartupMessages(library(SingleCellExperiment)); library(Matrix);"
        " m <- as(matrix(c(1, 0, 2, 3, 0, 1), 2, dimnames = list(c('a', 'b'), NULL)),"
        " 'CsparseMatrix'); SingleCellExperiment(list(counts = m, logcounts = log1p(m)),"
        " colData = DataFrame(n = c(1L, NA, 3L), f = factor(c('y', NA, 'x'), c('y', 'x'))),"
        " rowData = DataFrame(long = c('A', NA)),"
        " reducedDims = list(PCA = matrix(1:6 / 2, 3)), metadata = list(other = 1)) }"
    )
    adata = to_anndata(robj)
    logged = dense("SummarizedExperiment::assay(x, 'logcounts')", x=robj)
    np.testing.assert_array_equal(adata.X.toarray(), logged.T)
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), [[1, 0], [2, 3], [0, 1]])
    assert str(adata.obs["n"].dtype) == "Int32"
    assert adata.obs["n"].isna().tolist() == [False, True, False]
    assert list(adata.obs["f"].cat.categories) == ["y", "x"]
    assert adata.var["long"].tolist() == ["A", None]
    np.testing.assert_array_equal(adata.obsm["X_PCA"], [[0.5, 2], [1, 2.5], [1.5, 3]])
    assert report_of(adata)["metadata", "other"] == "left"


def test_annotations_of_r_are_read_in_python():
    """The record as R stores it; an object that R annotated for real is in bridge/test_rds.py."""
    from cellferry.annotations.clusters import Annotation, Annotations

    rows = tuple(Annotation(c, "ok", label=f"type {c}") for c in "012")
    record = Annotations(rows, provenance={"group_key": "ident", "group_column": "RNA_snn_res.1"})
    robj = r_with(
        "{ x@misc$cellferry <- list(cell_type = json); x }",
        x=pbmc(), json=r(json.dumps(record.to_json())),
    )  # fmt: skip
    adata = to_anndata(robj)
    assert cellferry.read_annotations(adata).labels() == record.labels()
    left = adata[adata.obs["RNA_snn_res.1"] != "2"].copy()
    assert cellferry.read_annotations(left)["2"].n_cells == 0


@pytest.mark.parametrize(
    ("code", "error", "match"),
    [
        ("1:3", errors.UnsupportedObjectError, "class integer"),
        ("data.frame(a = 1)", errors.UnsupportedObjectError, "class data.frame"),
        ("{ base@assays$RNA@data@i[1] <- 999L; base }", errors.InvalidObjectError, "damaged"),
    ],
)  # fmt: skip
def test_bad_objects_are_refused_by_class(code, error, match):
    if seurat_generation() >= 5:
        code = code.replace("@data@i", "@layers$data@i")
    with pytest.raises(error, match=match):
        to_anndata(r_with(code, base=pbmc()))


def test_objects_of_the_high_level_are_taken_too():
    from rpy2.robjects.methods import RS4

    assert to_anndata(RS4(pbmc())).shape == (80, 230)


def test_an_object_of_r_is_refused_by_the_verb_with_the_recipe():
    with pytest.raises(errors.UnsupportedObjectError, match="object of R") as caught:
        cellferry.annotate_clusters(pbmc())
    assert "to_anndata(x)" in caught.value.hint
