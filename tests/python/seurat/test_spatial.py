"""Places of cells in images are obsm["spatial"], and images again by their own names."""

import anndata
import numpy as np
import pytest

from r_session import needs_rpy2, pbmc, r, r_true, r_with

pytestmark = needs_rpy2

FOV = """{
  fov <- function(cells, key) {
    places <- data.frame(x = seq_along(cells) + 0.1, y = seq_along(cells) * 2, cell = cells)
    SeuratObject::CreateFOV(
      SeuratObject::CreateCentroids(places), type = "centroids", assay = "RNA", key = key
    )
  }
"""
PLACES = """function(o, image) {
  stored <- o@images[[image]]@boundaries$centroids
  list(stored@cells, unname(stored@coords[]), stored@radius, stored@nsides, stored@theta)
}"""


def to_anndata(robj):
    from cellferry.seurat import to_anndata as convert

    return convert(robj)


def to_seurat(adata):
    from cellferry.seurat import to_seurat as convert

    return convert(adata)


def rows(adata, kind):
    frame = adata.uns["seurat"]["report"]
    return frame[frame["kind"] == kind].set_index("item")


def same_image(made, original, image):
    code = f"places <- {PLACES}; identical(places(a, '{image}'), places(b, '{image}'))"
    keys = f"identical(Key(a@images${image}), Key(b@images${image}))"
    return r_true(f"library(SeuratObject); {code} && {keys}", a=made, b=original)


def test_one_image_is_spatial_and_comes_back_by_its_name():
    robj = r_with(FOV + "x@images$slice <- fov(rev(colnames(x)), 'mine_'); x }", x=pbmc())
    adata = to_anndata(robj)
    assert "spatial" in adata.obsm
    assert adata.obsm["spatial"][-1].tolist() == [1.1, 2.0]
    assert rows(adata, "image").loc["slice", "action"] == "taken"
    made = to_seurat(adata)
    assert list(r_with("names(x@images)", x=made)) == ["slice"]
    assert "spatial" not in list(r_with("names(x@reductions)", x=made))
    # The order of cells is that of the object now.
    back = to_anndata(made)
    np.testing.assert_array_equal(back.obsm["spatial"], adata.obsm["spatial"])


def test_several_images_have_a_name_each_and_cells_of_others_are_nan(tmp_path):
    code = "n <- ncol(x); x@images$a <- fov(colnames(x)[1:30], 'a_'); "
    code += "x@images$b <- fov(colnames(x)[31:(n - 1)], 'b_'); x }"
    robj = r_with(FOV + code, x=pbmc())
    adata = to_anndata(robj)
    assert {"spatial", "spatial_a", "spatial_b"} <= set(adata.obsm)
    assert np.isnan(adata.obsm["spatial"]).all(axis=1).sum() == 1
    assert "50 cells are not in it" in rows(adata, "image").loc["a", "why"]
    adata.write_h5ad(tmp_path / "x.h5ad")
    made = to_seurat(anndata.read_h5ad(tmp_path / "x.h5ad"))
    assert list(r_with("names(x@images)", x=made)) == ["a", "b"]
    assert same_image(made, robj, "a")
    assert same_image(made, robj, "b")
    assert len(r_with("rownames(subset(x, cells = colnames(x)[25:40])@meta.data)", x=made)) == 16


def test_a_slice_of_visium_has_x_from_left_to_right_and_says_what_is_lost():
    if not r_true("requireNamespace('Seurat', quietly = TRUE)"):
        pytest.skip("Seurat is not installed")
    robj = r_with(
        """{
        cells <- colnames(x)
        places <- data.frame(
          tissue = 1L, row = 1L, col = 1L, imagerow = seq_along(cells), imagecol = 7,
          row.names = cells
        )
        x@images$slice1 <- methods::new(
          methods::getClass("VisiumV1", where = asNamespace("Seurat")), assay = "RNA",
          key = "slice1_", coordinates = places, image = array(0, c(2, 2, 3)),
          scale.factors = Seurat::scalefactors(1, 1, 1, 1), spot.radius = 1
        ); x }""",
        x=pbmc(),
    )
    adata = to_anndata(robj)
    assert adata.obsm["spatial"][2].tolist() == [7.0, 3.0]
    row = rows(adata, "image").loc["slice1"]
    assert (row["action"], "picture" in row["why"]) == ("coerced", True)
    made = to_seurat(adata)
    report = "Misc(x, 'anndata')$report"
    assert r_true(f"any(grepl('VisiumV1', {report}$why)) && names(x@images) == 'slice1'", x=made)


def test_spatial_of_an_anndata_keeps_its_name_both_ways():
    adata = to_anndata(pbmc())
    del adata.uns["seurat"]
    adata.obsm["spatial"] = np.arange(160.0).reshape(80, 2)
    back = to_anndata(to_seurat(adata))
    np.testing.assert_array_equal(back.obsm["spatial"], adata.obsm["spatial"])
    assert "X_spatial" not in back.obsm
    assert "X_pca" in back.obsm


def test_an_object_from_before_there_were_images_has_none():
    old = r_with("{ attr(x, 'images') <- NULL; x }", x=r("SeuratObject::pbmc_small"))
    assert to_anndata(old).n_obs == 80
