"""Markers and sums of a path: of every kind of file they are those of the object."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from click.testing import CliRunner

import cellferry
from cell_data import cells
from cellferry import errors
from cellferry.cli import group
from r_session import needs_rscript
from rds_files import PBMC, r_script


@pytest.fixture(params=["h5ad", "zarr", "wrong-name.h5"])
def path(request, tmp_path):
    made = tmp_path / f"x.{request.param}"
    if request.param == "zarr":
        pytest.importorskip("zarr")
        cells(60).write_zarr(made)
    else:
        cells(60).write_h5ad(made)
    return made


def test_the_markers_of_a_file_are_those_of_its_object(path, tmp_path):
    expected = cellferry.find_markers(cells(60), "leiden", only_pos=True, progress=False)
    for given in (path, str(path)):
        found = cellferry.find_markers(given, "leiden", only_pos=True, progress=False)
        pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame())
    done = CliRunner().invoke(group, [
        "markers", str(path), "--group-key", "leiden", "--only-pos", "--out",
        str(tmp_path / "m.csv"),
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "m.csv")["gene"].tolist() == expected.to_frame()["gene"].tolist()


def test_the_sums_of_a_file_are_those_of_its_object(path, tmp_path):
    expected = cellferry.pseudobulk(cells(60), "leiden", columns=["truth"]).to_frame()
    found = cellferry.pseudobulk(path, "leiden", columns=["truth"])
    pd.testing.assert_frame_equal(found.to_frame(), expected)
    done = CliRunner().invoke(group, [
        "pseudobulk", str(path), "--group-key", "leiden", "--out", str(tmp_path / "s"),
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    written = pd.read_csv(tmp_path / "s_counts.csv", index_col="gene")
    np.testing.assert_array_equal(written.to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("verb", ["find_markers", "pseudobulk"])
def test_what_cannot_be_read_is_named(verb, tmp_path):
    call = getattr(cellferry, verb)
    cells(60).write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(errors.InvalidOptionError, match=r"`assay` is for an \.rds"):
        call(tmp_path / "x.h5ad", "leiden", assay="RNA")
    with pytest.raises(errors.InputError, match="There is no file"):
        call(tmp_path / "none.rds")
    (tmp_path / "x.rds").write_text("<html></html>", encoding="utf-8")
    with pytest.raises(errors.InputError, match="a web page"):
        call(tmp_path / "x.rds")
    with h5py.File(tmp_path / "x.h5mu", "w") as file:
        file.create_group("mod")
    with pytest.raises(errors.InputError, match="a MuData") as caught:
        call(tmp_path / "x.h5mu")
    assert 'mdata["rna"]' in caught.value.hint


@pytest.mark.parametrize("verb", ["find_markers", "pseudobulk"])
def test_a_folder_of_10x_has_no_clusters(verb, tmp_path):
    adata = cells(60)
    scipy.io.mmwrite(tmp_path / "matrix.mtx", adata.layers["counts"].T)
    for name, lines in {"barcodes": adata.obs_names, "features": adata.var_names}.items():
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(errors.GroupMissingError, match="has cells and no clusters"):
        getattr(cellferry, verb)(tmp_path)


@pytest.mark.r
@pytest.mark.slow
@needs_rscript
def test_of_an_rds_they_are_those_of_r(pbmc_rds, tmp_path):
    found = cellferry.find_markers(
        pbmc_rds, only_pos=True, rules="5.0.1", assay="RNA", features=["CD3D", "LYZ", "MS4A1"],
        logfc_threshold=-np.inf, progress=False,
    ).to_frame()  # fmt: skip
    assert set(found["gene"]) <= {"CD3D", "LYZ", "MS4A1"}
    assert set(found["cluster"]) <= {"0", "1", "2"}
    pair = cellferry.find_markers(pbmc_rds, ident_1="0", ident_2="1", progress=False).to_frame()
    assert set(pair["cluster"]) == {"0"}
    sums = cellferry.pseudobulk(pbmc_rds, sample_key="letter.idents")
    r_script(
        f"{PBMC} m <- if (inherits(x[['RNA']], 'Assay5')) LayerData(x[['RNA']], 'counts') else "
        f"GetAssayData(x, slot = 'counts'); cat(sum(m), file = '{tmp_path}/sum')"
    )
    assert sums.counts.sum() == int((tmp_path / "sum").read_text())
    with pytest.raises(errors.InvalidOptionError, match="rules"):
        cellferry.find_markers(pbmc_rds, rules="6")
