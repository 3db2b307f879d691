"""The page of an object: figures of every gene over all cells, and nothing that may not leave."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from click.testing import CliRunner

import cellferry
from cellferry import errors
from cellferry.cli import group
from cellferry.runs.figures import FIGURES
from cellferry.runs.run import Run
from page_index import Given
from page_objects import labelled_cells, typed_cells


@pytest.fixture(scope="module")
def adata():
    return labelled_cells(400, 5, 200)


def report(data, folder, **options):
    path = folder / "page.html"
    return Given(cellferry.annotation_report(data, path, progress=False, **options))


def figures(adata):
    values = adata.X.toarray()
    codes = adata.obs["leiden"].cat.codes.to_numpy()
    here = [values[codes == k] for k in range(5)]
    shares = np.array([(v > 0).mean(axis=0) for v in here]).T
    return shares, np.array([np.expm1(v).mean(axis=0) for v in here]).T


def test_every_gene_is_there_over_all_cells(adata, tmp_path):
    given = report(adata, tmp_path)
    shares, means = figures(adata)
    assert given.genes == list(adata.var_names)
    read = given.summary()
    np.testing.assert_allclose(read[0], shares, atol=0.5 / 255 + 1e-9)
    np.testing.assert_allclose(read[1], means, rtol=0.03)
    assert given.index["cells"]["all"]
    assert [e["name"] for e in given.index["cells"]["embeddings"]] == ["X_umap", "X_tsne"]


def test_only_columns_that_were_named_are_there_and_no_names_of_cells(adata, tmp_path):
    def names(given):
        return [c["name"] for c in given.index["cells"]["columns"]]

    plain = report(adata, tmp_path)
    assert names(plain)
    assert all(name.startswith("cell_type") for name in names(plain))
    assert "donor 1" not in plain.text
    more = report(adata, tmp_path, obs_columns=["sample"])
    assert "sample" in names(more)
    assert "donor 1" in more.text
    assert "cell17" not in more.text
    with pytest.raises(errors.GroupMissingError, match=r'no column "smaple".*'):
        report(adata, tmp_path, obs_columns=["smaple"])


def test_values_per_cell_are_of_the_evidence_and_can_be_left_out(adata, tmp_path):
    given = report(adata, tmp_path)
    found = cellferry.read_annotations(adata)
    evidence = {gene for row in found for gene in row.supporting} & set(adata.var_names)
    drawn = {given.genes[i] for i in given.index["genes"]["values"]}
    assert evidence <= drawn
    position = given.genes.index("CD79A")
    block = given.block(f"gene/{position}")
    top = np.frombuffer(block[:4], "<f4")[0]
    values = adata.X[:, position].toarray()[:, 0]
    np.testing.assert_allclose(
        np.frombuffer(block[4:], np.uint8) / 255 * top, values, atol=top / 255
    )
    without = report(adata, tmp_path, cell_values=False)
    assert without.index["genes"]["values"] == []
    assert without.index["genes"]["histograms"]
    nothing = report(adata, tmp_path, expression=False)
    assert nothing.index["genes"] is None


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_a_path_gives_what_the_object_gives(adata, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    (adata.write_h5ad if suffix == ".h5ad" else adata.write_zarr)(path)
    of_path, of_object = report(path, tmp_path), report(adata, tmp_path)
    assert of_path.index == of_object.index
    assert of_path.packed == of_object.packed


def test_counts_are_no_figures_and_the_page_is_there_all_the_same(tmp_path, adata):
    counts = anndata.AnnData(adata.layers["counts"].copy(), obs=adata.obs, var=adata.var)
    counts.uns, counts.obsm["X_umap"] = adata.uns, adata.obsm["X_umap"]
    given = report(counts, tmp_path)
    assert given.index["genes"] is None
    assert given.index["cells"]["n"] == 400


def test_cells_without_coordinates_are_counted(adata, tmp_path):
    some = adata.copy()
    some.obsm["X_umap"][:7] = np.nan
    given = report(some, tmp_path, coordinates_key="X_umap")
    assert given.index["cells"]["embeddings"][0]["missing"] == 7


def test_the_figures_of_a_search_for_markers_are_kept_in_the_run(tmp_path):
    path = tmp_path / "x.h5ad"
    typed_cells(400, 5, 200).write_h5ad(path)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        group, ["annotate", str(path), "--group-key", "leiden", "--out", str(out), "--quiet"]
    )
    assert done.exit_code == 0, done.output
    own = Given(f"{out}_report.html")
    shares, means = figures(typed_cells(400, 5, 200))
    np.testing.assert_allclose(own.summary()[0], shares, atol=0.5 / 255 + 1e-9)
    np.testing.assert_allclose(own.summary()[1], means, rtol=0.03)
    assert own.index["genes"]["values"] == []
    found = Run.open(own.index["run"])
    assert (found.folder / FIGURES).exists()
    again = tmp_path / "again.html"
    assert CliRunner().invoke(group, ["report", found.id, str(again)]).exit_code == 0
    assert Given(again).packed["summary"] == own.packed["summary"]
