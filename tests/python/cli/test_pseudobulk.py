"""``cellferry pseudobulk``: two tables of an .h5ad or an .rds."""

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cellferry.cli import group
from cellferry.errors import CellferryError, GroupMissingError, OutputError
from r_session import needs_rscript


def invoke(*arguments):
    done = CliRunner().invoke(group, ["pseudobulk", *map(str, arguments)])
    if isinstance(done.exception, CellferryError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def tables(base):
    return [pd.read_csv(f"{base}_{name}.csv", index_col=0) for name in ("counts", "samples")]


@pytest.fixture
def path(tmp_path):
    counts = np.array([[1.0, 0], [2, 0], [0, 5], [4, 1]])
    adata = anndata.AnnData(counts)
    adata.layers["counts"] = counts
    adata.var_names = ["CD3D", "CD79A"]
    adata.obs_names = list("wxyz")
    adata.obs["label"] = ["T", "T", "B", "T"]
    adata.obs["donor"] = ["d1", "d1", "d1", "d2"]
    adata.obs["condition"] = ["ill", "ill", "ill", "well"]
    adata.write_h5ad(tmp_path / "x.h5ad")
    return tmp_path / "x.h5ad"


def test_sums_and_samples_are_written(path, tmp_path):
    base = tmp_path / "sums"
    given = ("--group-key", "label", "--sample-key", "donor", "--column", "condition")
    invoke(path, *given, "--out", base)
    counts, samples = tables(base)
    assert counts.to_dict() == {
        "B|d1": {"CD3D": 0, "CD79A": 5}, "T|d1": {"CD3D": 3, "CD79A": 0},
        "T|d2": {"CD3D": 4, "CD79A": 1},
    }  # fmt: skip
    assert samples["n_cells"].tolist() == [1, 2, 1]
    assert samples["condition"].tolist() == ["ill", "ill", "well"]
    with pytest.raises(OutputError, match="not replaced"):
        invoke(path, *given, "--out", base)
    invoke(path, *given, "--out", base, "--overwrite", "--min-cells", 2)
    assert list(tables(base)[0]) == ["T|d1"]


def test_what_cannot_be_summed_is_said_before_a_table_is_there(path, tmp_path):
    with pytest.raises(GroupMissingError, match="donors"):
        invoke(path, "--group-key", "label", "--sample-key", "donors", "--out", tmp_path / "s")
    assert not list(tmp_path.glob("s_*"))


@needs_rscript
@pytest.mark.r
def test_an_rds_is_summed_too(pbmc_rds, tmp_path):
    invoke(pbmc_rds, "--sample-key", "letter.idents", "--out", tmp_path / "sums")
    counts, samples = tables(tmp_path / "sums")
    assert samples["n_cells"].sum() == 80
    assert set(samples["sample"]) == {"A", "B"}
    assert (counts.to_numpy() >= 0).all()
    assert counts.to_numpy().sum() > 10000
