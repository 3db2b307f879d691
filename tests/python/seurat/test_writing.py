"""AnnData become Seurat objects of the generation that R has, and come back."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cellferry import errors
from r_session import needs_rpy2, pbmc, r, r_true, r_with, seurat_generation

pytestmark = needs_rpy2


def to_seurat(adata, **options):
    from cellferry.seurat import to_seurat as convert

    return convert(adata, **options)


def to_anndata(robj, **options):
    from cellferry.seurat import to_anndata as convert

    return convert(robj, **options)


def small(**parts):
    counts = sp.csr_matrix(np.array([[1.0, 0, 2], [0, 3, 0], [4, 0, 0], [0, 1, 1]]))
    made = anndata.AnnData(
        counts.log1p(),
        obs=pd.DataFrame(
            {"leiden": pd.Categorical(["0", "1", "0", None], ["1", "0", "unused"])},
            index=[f"cell{i}" for i in range(4)],
        ),
        var=pd.DataFrame(index=["CD3E", "MS4A1", "HLA-A"]),
        layers={"counts": counts},
    )
    for name, values in parts.items():
        setattr(made, name, values)
    return made


def assay_slots():
    """R code that takes the matrices of the assay of `b` and `x` apart, for either generation."""
    argument = "layer" if seurat_generation() >= 5 else "slot"
    return f"function(o, l) SeuratObject::GetAssayData(o, {argument} = l)"


def test_a_seurat_object_comes_back_as_it_was():
    robj = pbmc()
    back = to_seurat(to_anndata(robj))
    same = r_with(
        "sapply(c('meta.data', 'active.ident', 'active.assay', 'graphs'),"
        " function(s) identical(slot(x, s), slot(b, s)))", x=robj, b=back,
    )  # fmt: skip
    assert all(same), list(same)
    for layer in ("counts", "data"):
        assert r_true(
            f"f <- {assay_slots()}; identical(f(x, '{layer}'), f(b, '{layer}'))", x=robj, b=back
        )
    for part in ("cell.embeddings", "feature.loadings", "stdev", "key", "assay.used"):
        for name in ("pca", "tsne"):
            assert r_true(
                f"identical(slot(x[['{name}']], '{part}'), slot(b[['{name}']], '{part}'))",
                x=robj, b=back,
            ), (name, part)  # fmt: skip
    assert r_true("all.equal(x[['RNA']][[]], b[['RNA']][[]])", x=robj, b=back)
    assert r_true(
        "identical(SeuratObject::VariableFeatures(x), SeuratObject::VariableFeatures(b))",
        x=robj, b=back,
    )  # fmt: skip


def test_the_assay_is_of_the_generation_that_r_has():
    expected = "Assay5" if seurat_generation() >= 5 else "Assay"
    assert r_true(f"class(x[['RNA']])[1] == '{expected}'", x=to_seurat(small()))


def test_seurat_5_makes_the_older_assay_when_its_option_says_so():
    if seurat_generation() < 5:
        pytest.skip("SeuratObject 5 is not installed")
    r("options(Seurat.object.assay.version = 'v3')")
    try:
        made = to_seurat(small())
        assert r_true("class(x[['RNA']])[1] == 'Assay' && validObject(x)", x=made)
    finally:
        r("options(Seurat.object.assay.version = NULL)")


def test_the_object_is_valid_and_seurat_works_with_it():
    made = to_seurat(small(), ident="leiden")
    assert r_true("validObject(x, complete = TRUE)", x=made)
    assert r_true("identical(levels(SeuratObject::Idents(x)), c('1', '0', 'unused'))", x=made)
    assert r_true("ncol(x[, c('cell0', 'cell2')]) == 2", x=made)
    assert r_true("all(dim(merge(x, x, add.cell.ids = c('a', 'b'))) == c(3, 8))", x=made)


def test_labels_come_back_from_an_anndata_of_python():
    before = small()
    back = to_anndata(to_seurat(before))
    assert back.obs.equals(before.obs)
    assert (back.X != before.X).nnz == 0
    assert list(back.var_names) == list(before.var_names)


def test_names_that_seurat_does_not_take_are_kept_and_reported():
    adata = small()
    adata.var_names = ["MT_CO1", "A|B", "HLA-A"]
    made = to_seurat(adata)
    assert list(r_with("rownames(x)", x=made)) == ["MT-CO1", "A-B", "HLA-A"]
    assert r_true(
        "identical(x[['RNA']][['original_name']][[1]], c('MT_CO1', 'A|B', 'HLA-A'))", x=made
    )
    assert r_true("'gene names' %in% x@misc$anndata$report$item", x=made)


@pytest.mark.parametrize(
    ("key", "name", "seurat_key"),
    [("X_pca", "pca", "PC_"), ("X_umap", "umap", "UMAP_"), ("spatial", "spatial", "spatial_"),
     ("X_draw_graph_fa", "draw_graph_fa", "drawgraphfa_")],
)  # fmt: skip
def test_embeddings_have_names_and_keys_of_seurat(key, name, seurat_key):
    adata = small()
    adata.obsm[key] = np.arange(8.0).reshape(4, 2)
    made = to_seurat(adata)
    assert r_true(
        f"r <- x[['{name}']]; identical(SeuratObject::Key(r), '{seurat_key}') &&"
        " identical(unname(SeuratObject::Embeddings(r)), matrix(0:7 + 0, 4, byrow = TRUE))",
        x=made,
    )
    np.testing.assert_array_equal(to_anndata(made).obsm[key], np.arange(8.0).reshape(4, 2))


def test_graphs_keep_their_direction():
    adata = small()
    adata.obsp["connectivities"] = sp.csr_matrix(np.triu(np.arange(16.0).reshape(4, 4)))
    made = to_seurat(adata)
    assert r_true("x@graphs$connectivities['cell0', 'cell3'] == 3", x=made)
    assert r_true("x@graphs$connectivities['cell3', 'cell0'] == 0", x=made)


def test_what_seurat_cannot_hold_is_reported_once():
    adata = small()
    adata.uns["log1p"] = {"base": None}
    adata.varm["loadings"] = np.ones((3, 2))
    adata.obsm["frame"] = pd.DataFrame({"a": list("wxyz")}, index=adata.obs_names)
    report = to_report(to_seurat(adata))
    assert report["uns", "log1p"] == report["varm", "loadings"] == report["obsm", "frame"] == "left"
    assert report["obs", "leiden"] == "taken"


def to_report(made):
    from cellferry.seurat.vectors import parts, texts

    report = parts(r_with("as.list(x@misc$anndata$report)", x=made))
    assert list(report) == ["item", "kind", "what", "action", "why"]
    columns = [texts(v) for v in report.values()]
    return {(kind, item): action for item, kind, _, action, _ in zip(*columns, strict=True)}


def test_layers_of_other_names_need_seurat_5():
    adata = small()
    adata.layers["spliced"] = adata.layers["counts"] * 2
    made = to_seurat(adata)
    if seurat_generation() < 5:
        assert to_report(made)["layer", "spliced"] == "left"
    else:
        back = to_anndata(made)
        assert (back.layers["spliced"] != adata.layers["spliced"]).nnz == 0


def test_scaled_values_are_where_seurat_has_them():
    adata = small()
    adata.layers["scale.data"] = np.arange(12.0).reshape(4, 3) - 6
    back = to_anndata(to_seurat(adata))
    np.testing.assert_array_equal(back.layers["scale.data"], adata.layers["scale.data"])
    assert (back.X != adata.X).nnz == 0


@pytest.mark.parametrize("dtype", ["f4", "i8", "u2", "?"])
@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_every_dtype_and_format_of_a_matrix(dtype, form):
    adata = small()
    values = adata.layers["counts"].astype(dtype)
    adata.layers["counts"] = values.toarray() if form == "dense" else values.asformat(form)
    back = to_anndata(to_seurat(adata))
    found = back.layers["counts"]
    np.testing.assert_array_equal(
        found.toarray() if sp.issparse(found) else found, values.toarray().astype("f8")
    )


def test_the_anndata_is_not_changed():
    adata = small()
    before = adata.copy()
    to_seurat(adata)
    assert adata.obs.equals(before.obs)
    assert list(adata.uns) == list(before.uns)
    assert (adata.X != before.X).nnz == 0


def test_python_annotates_and_r_reads():
    adata = to_anndata(pbmc())
    markers = {
        "0": ["CD3E", "CD3D", "IL7R"],
        "1": ["LYZ", "CST3", "S100A9"],
        "2": ["MS4A1", "CD79A"],
    }
    found = cellferry.annotate_clusters(
        adata, markers, group_key="RNA_snn_res.1", progress=False, species="human"
    )
    made = to_seurat(adata)
    labels = list(r_with("as.character(x$cell_type)", x=made))
    assert labels == list(adata.obs["cell_type"].astype(str))
    again = cellferry.read_annotations(to_anndata(made))
    assert again.to_dict()["rows"] == found.to_dict()["rows"]
    if not r("requireNamespace('cellferry', quietly = TRUE)")[0]:
        pytest.skip("the R package cellferry is not installed")
    table = r_with("{ t <- cellferry::Annotations(x); t }", x=made)
    assert r_true("identical(t$cluster, c('0', '1', '2'))", t=table)
    assert [str(v) for v in r_with("t$label", t=table)] == list(found.labels().values())
    assert r_true("identical(t$n_cells, as.integer(table(x$RNA_snn_res.1)))", t=table, x=made)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
                     min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.lists(st.none() | st.sampled_from(["0", "10", "2", "NA", "a b"]), min_size=6, max_size=6),
)  # fmt: skip
def test_any_names_of_cells_and_clusters_come_back(cells, clusters):
    n = len(cells)
    adata = anndata.AnnData(
        np.arange(2.0 * n).reshape(n, 2) + 0.5,
        obs=pd.DataFrame(
            {"k": pd.Categorical(clusters[:n], ["10", "2", "NA", "a b", "0"])}, index=cells
        ),
    )
    back = to_anndata(to_seurat(adata, ident="k"))
    assert list(back.obs_names) == cells
    assert back.obs["k"].equals(adata.obs["k"])
    np.testing.assert_array_equal(back.X, adata.X)


def test_bad_input_is_refused_before_anything_is_made():
    twice = small()
    twice.obs_names = ["a", "a", "b", "c"]
    with pytest.raises(errors.InvalidObjectError, match=r'cells must be unique, and "a" is not'):
        to_seurat(twice)
    with pytest.raises(errors.UnsupportedObjectError, match="is a DataFrame"):
        to_seurat(pd.DataFrame())
    with pytest.raises(errors.GroupMissingError) as caught:
        to_seurat(small(), ident="liden")
    assert caught.value.hint == 'Did you mean "leiden"?'
    with pytest.raises(errors.InvalidOptionError, match="not a name of an assay"):
        to_seurat(small(), assay="1 RNA")


def test_a_backed_object_is_refused_with_the_recipe(tmp_path):
    small().write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    with pytest.raises(errors.UnsupportedObjectError, match="backed by a file") as caught:
        to_seurat(backed)
    assert caught.value.hint == "Use to_seurat(adata.to_memory())."
