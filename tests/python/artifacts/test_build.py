import time
from pathlib import Path

import pytest

from artifact_data import make_adata
from cellferry.artifacts import Build, BuildOptions, obs_duckdb
from cellferry.artifacts.inputs import open_inputs
from cellferry.artifacts.vars_h5 import writer as vars_h5_writer
from cellferry.errors import ArtifactBuildError, GroupMissingError, InvalidOptionError
from cellferry.runs.worker import Events


@pytest.fixture
def inputs():
    keys = {"group_key": "leiden", "coordinates_key": "X_umap", "rank_key": ""}
    with open_inputs(make_adata(), **keys) as opened:
        yield opened


def options(folder, **changes):
    paths = {"vars_h5_path": folder / "v.h5", "obs_duckdb_path": folder / "o.duckdb"}
    return BuildOptions(**{**paths, **changes})


def test_options_are_checked(tmp_path):
    settled = options(tmp_path, n_top_genes=7.0).checked()
    assert (settled.n_top_genes, type(settled.n_top_genes)) == (7, int)
    assert options(tmp_path).targets["vars.h5"] == tmp_path / "v.h5"
    for name, value in (
        ("min_percentage", -1),
        ("max_metadata_categories", 0),
        ("n_top_genes", 1.5),
    ):
        with pytest.raises(InvalidOptionError, match=f"`{name}` must be a whole number"):
            options(tmp_path, **{name: value}).checked()
    for name, value in (("overwrite", 1), ("cell_names", None), ("vars_h5_path", None)):
        with pytest.raises(InvalidOptionError, match=f"`{name}` must be"):
            options(tmp_path, **{name: value}).checked()
    with pytest.raises(InvalidOptionError, match="same file"):
        BuildOptions(vars_h5_path="x", obs_duckdb_path=Path("x")).checked()


def test_columns_are_checked_when_a_build_is_made(inputs, tmp_path):
    with pytest.raises(GroupMissingError, match="no column"):
        Build(inputs, options(tmp_path, obs_columns=["none"]))
    with pytest.raises(GroupMissingError, match="no column"):
        Build(inputs, options(tmp_path, gene_symbols_column="none"))


def test_targets_are_checked_only_where_both_are_required(inputs, tmp_path):
    absent = {"obs_duckdb_path": tmp_path / "absent" / "o"}
    with pytest.raises(ArtifactBuildError, match="no folder"):
        Build(inputs, options(tmp_path, **absent)).check_targets()
    build = Build(inputs, options(tmp_path, require_artifacts=False, **absent))
    build.check_targets()
    built = build.run(Events())
    assert built.obs_duckdb is None
    assert built.vars_h5 == tmp_path / "v.h5"


def test_metadata_that_are_still_written_when_the_matrix_fails_leave_nothing(
    inputs, tmp_path, monkeypatch
):
    real = obs_duckdb.obs_table

    def late(*arguments, **options):
        time.sleep(0.3)
        return real(*arguments, **options)

    def fail(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(obs_duckdb, "obs_table", late)
    monkeypatch.setattr(vars_h5_writer, "write_var_metadata", fail)
    with pytest.raises(ArtifactBuildError, match="out of luck"):
        Build(inputs, options(tmp_path)).run(Events())
    assert list(tmp_path.iterdir()) == []
