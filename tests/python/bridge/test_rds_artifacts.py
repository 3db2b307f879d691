"""Artifacts of real objects in .rds files, through the Rscript child."""

import duckdb
import h5py
import numpy as np
import pytest

from artifact_data import read_group
from cellferry import errors
from cellferry.bridge.handles import _kept
from cellferry.bridge.rds import build_artifacts_of_rds
from r_session import needs_rscript
from rds_files import PBMC, r_script

pytestmark = needs_rscript


def paths(folder):
    return {"vars_h5_path": folder / "v.h5", "obs_duckdb_path": folder / "o.duckdb"}


def test_the_files_hold_what_the_object_holds(pbmc_rds, tmp_path):
    before = dict(_kept)
    built = build_artifacts_of_rds(pbmc_rds, progress=False, **paths(tmp_path))
    read = (
        f"{PBMC} m <- function(l) as.matrix(if (inherits(x[['RNA']], 'Assay5')) "
        "LayerData(x[['RNA']], l) else GetAssayData(x, slot = l));"
        "for (l in c('data', 'counts')) writeBin(as.vector(m(l)), "
        f"paste0('{tmp_path}/', l)); cat(colnames(x), sep = '\\n')"
    )
    cells = r_script(read).split()
    for name, layer in (("vars", "data"), ("raw", "counts")):
        truth = np.fromfile(tmp_path / layer).reshape(80, 230)
        np.testing.assert_array_equal(
            read_group(built.vars_h5, name), truth.astype("f4" if name == "vars" else "i4")
        )
    with duckdb.connect(str(built.obs_duckdb), read_only=True) as connection:
        names = connection.execute("SELECT __cell_name FROM obs").fetchall()
    assert [name for (name,) in names] == cells
    assert built.summary.clusters == ("0", "1", "2")
    assert dict(_kept) == before


def test_a_column_an_assay_and_columns_can_be_chosen(pbmc_rds, tmp_path):
    built = build_artifacts_of_rds(
        pbmc_rds, group_key="groups", assay="RNA", coordinates_key="X_tsne", progress=False,
        obs_columns=["letter.idents"], **paths(tmp_path),
    )  # fmt: skip
    assert sorted(built.summary.clusters) == ["g1", "g2"]
    with duckdb.connect(str(built.obs_duckdb), read_only=True) as connection:
        columns = [row[0] for row in connection.execute("DESCRIBE obs").fetchall()]
    assert "letter.idents" in columns
    assert "nCount_RNA" not in columns


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"group_key": "nothing"}, errors.GroupMissingError),
        ({"assay": "nothing"}, errors.CellferryError),
        ({"min_percentage": -1}, errors.InvalidOptionError),
        ({"obs_columns": ["nothing"]}, errors.CellferryError),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(pbmc_rds, tmp_path, options, error):
    before = dict(_kept)
    with pytest.raises(error):
        build_artifacts_of_rds(pbmc_rds, progress=False, **paths(tmp_path), **options)
    assert list(tmp_path.iterdir()) == []
    assert dict(_kept) == before


def test_a_missing_file_is_no_matter_for_r(tmp_path):
    with pytest.raises(errors.InputError, match="no file"):
        build_artifacts_of_rds(tmp_path / "a.rds", rscript="/nowhere")


def test_h5_files_of_both_ways_are_alike(pbmc_rds, tmp_path):
    built = build_artifacts_of_rds(pbmc_rds, progress=False, **paths(tmp_path))
    with h5py.File(built.vars_h5) as file:
        assert file["vars"].attrs["n_obs"] == 80
        assert file["vars/data"].dtype == np.float32
        assert file["raw/data"].dtype == np.int32
