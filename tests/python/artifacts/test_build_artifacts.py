import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import anndata
import duckdb
import numpy as np
import pytest
from scipy import sparse

from artifact_data import make_adata, make_study, read_group
from cellferry import build_artifacts
from cellferry.artifacts import obs_duckdb
from cellferry.artifacts.vars_h5 import writer as vars_h5_writer
from cellferry.errors import (
    ISSUE_URL,
    ArtifactBuildError,
    ArtifactValuesError,
    CountsWarning,
    GroupMissingError,
    InvalidOptionError,
    NormalisationWarning,
)
from cellferry.study.expression import kinds
from paths import SUPPORT


def build(data, folder, **options):
    arguments = {
        "group_key": "leiden",
        "vars_h5_path": folder / "vars.h5",
        "obs_duckdb_path": folder / "obs.duckdb",
        "progress": False,
    }
    return build_artifacts(data, **{**arguments, **options})


def test_both_files_and_the_summary_come_from_one_call(tmp_path):
    adata = make_adata()
    built = build(adata, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["obs.duckdb", "vars.h5"]
    np.testing.assert_array_equal(read_group(built.vars_h5, "vars"), adata.X.toarray())
    with duckdb.connect(str(built.obs_duckdb), read_only=True) as connection:
        rows = connection.execute("SELECT leiden, donor, __cell_name FROM obs").fetchall()
    assert rows == list(zip(adata.obs["leiden"], adata.obs["donor"], adata.obs_names, strict=True))
    summary = built.summary
    assert summary.clusters == ("0", "1", "10")
    assert summary.cells_per_cluster == adata.obs["leiden"].value_counts().to_dict()
    assert set(summary.metadata["0"]) == {"donor"}
    assert len(summary.coordinates.cells) == 30
    assert set(built.seconds) == {"read_and_write", "fsync", "obs"}
    assert built.errors == {}


def test_nothing_done_to_the_users_object(tmp_path):
    adata = make_adata()
    before = adata.copy()
    build(adata, tmp_path)
    assert list(adata.obs.columns) == list(before.obs.columns)
    assert list(adata.var.columns) == list(before.var.columns)
    assert (adata.X != before.X).nnz == 0
    assert adata.obs.equals(before.obs)


def test_a_file_read_piece_by_piece_gives_the_same_bytes(tmp_path):
    adata = make_adata()
    adata.write_h5ad(tmp_path / "a.h5ad")
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one = build(adata, tmp_path / "one")
    other = build(tmp_path / "a.h5ad", tmp_path / "other")
    assert one.vars_h5.read_bytes() == other.vars_h5.read_bytes()
    np.testing.assert_array_equal(one.summary.percentages, other.summary.percentages)
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    (tmp_path / "third").mkdir()
    assert build(backed, tmp_path / "third").vars_h5.read_bytes() == one.vars_h5.read_bytes()


def test_the_stored_ranking_gives_the_top_genes(blood, tmp_path):
    values = blood.raw.to_adata()
    values.obsm, values.uns = blood.obsm, blood.uns
    built = build(values, tmp_path, group_key="louvain", n_top_genes=3)
    stored = blood.uns["rank_genes_groups"]["names"]
    assert built.summary.top_genes["0"] == tuple(stored["0"][:3])


def test_columns_that_must_not_leave_are_in_no_file_and_no_statistic(tmp_path):
    adata = make_adata()
    adata.obs["patient"] = ["Jane Roe"] * 30
    built = build(adata, tmp_path, obs_columns=["score"], cell_names=False)
    assert built.summary.metadata == {"0": {}, "1": {}, "10": {}}
    for path in tmp_path.iterdir():
        assert b"Jane" not in path.read_bytes()
        assert b"cell7" not in path.read_bytes()


def test_scaled_values_are_built_and_warned_of(tmp_path):
    adata = make_adata()
    adata.X = adata.X - 1.0 * sparse.csr_matrix(np.ones((30, 12)))
    with pytest.warns(NormalisationWarning, match="negative"):
        built = build(adata, tmp_path)
    assert built.summary.normalisation.kind == "scaled"


def test_counts_that_are_none_are_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "LOOKED_AT", 1)
    adata = make_adata(400, 3)
    adata.layers["counts"] = sparse.csr_matrix(np.ones((400, 3), dtype=np.float32))
    adata.layers["counts"].data[-2] = 0.5
    with pytest.warns(CountsWarning, match=r'layers\["counts"\] is no matrix of raw counts'):
        build(adata, tmp_path)


def test_nan_is_refused_by_name_and_nothing_is_left(tmp_path):
    adata = make_adata()
    adata.X = adata.X.toarray()
    adata.X[17, 5] = np.nan
    with pytest.raises(ArtifactValuesError, match='gene "GENE5" in cell "cell17"') as error:
        build(adata, tmp_path)
    assert ISSUE_URL in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_survives_a_failed_build(tmp_path):
    good, bad = make_adata(), make_adata(seed=1)
    build(good, tmp_path)
    before = (tmp_path / "vars.h5").read_bytes()
    bad.X = bad.X.toarray()
    bad.X[0, 0] = np.inf
    with pytest.raises(ArtifactValuesError):
        build(bad, tmp_path)
    assert (tmp_path / "vars.h5").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_without_requiring_artifacts_the_statistics_are_still_made(tmp_path):
    adata = make_adata()
    built = build(adata, tmp_path, vars_h5_path=tmp_path / "absent" / "v", require_artifacts=False)
    assert built.vars_h5 is None
    assert built.obs_duckdb.exists()
    assert "there is no folder" in built.errors["vars.h5"].message
    assert ISSUE_URL in str(built.errors["vars.h5"])
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    whole = build(adata, tmp_path)
    np.testing.assert_array_equal(built.summary.percentages, whole.summary.percentages)
    built = build(adata, tmp_path, obs_duckdb_path=tmp_path, require_artifacts=False)
    assert built.obs_duckdb is None
    assert built.vars_h5 is not None


def test_required_artifacts_are_checked_before_the_first_is_written(tmp_path):
    with pytest.raises(ArtifactBuildError, match="there is no folder"):
        build(make_adata(), tmp_path, obs_duckdb_path=tmp_path / "absent" / "o")
    assert list(tmp_path.iterdir()) == []


def test_an_unexpected_failure_carries_the_link(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(vars_h5_writer, "write_var_metadata", fail)
    with pytest.raises(ArtifactBuildError, match="RuntimeError: out of luck") as error:
        build(make_adata(), tmp_path)
    assert ISSUE_URL in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_percentage": -1}, "`min_percentage` must be a whole number of at least 0"),
        ({"pcent_batch_size": 0}, "`pcent_batch_size`"),
        ({"max_cells_per_group": 1.5}, "`max_cells_per_group`"),
        ({"n_top_genes": True}, "`n_top_genes`"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, words, tmp_path):
    with pytest.raises(InvalidOptionError, match=words):
        build(make_adata(), tmp_path, **options)


def test_names_that_do_not_exist_and_one_path_for_two_files_are_refused(tmp_path):
    with pytest.raises(GroupMissingError):
        build(make_adata(), tmp_path, group_key="absent")
    with pytest.raises(GroupMissingError):
        build(make_adata(), tmp_path, gene_symbols_column="absent")
    with pytest.raises(GroupMissingError):
        build(make_adata(), tmp_path, obs_columns=["absent"])
    with pytest.raises(InvalidOptionError, match="the same file"):
        build(make_adata(), tmp_path, obs_duckdb_path=tmp_path / "." / "vars.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_built(tmp_path):
    values = np.array([[0.5, 0.0], [0.1, 0.2]], dtype=np.float32)
    built = build(make_study(values, ["a", "b"]), tmp_path, group_key=None)
    np.testing.assert_array_equal(read_group(built.vars_h5, "vars"), values)


SLOW = """
import sys, time
sys.path[:0] = {paths!r}
from artifact_data import make_adata
from cellferry import build_artifacts
from cellferry.artifacts.vars_h5 import writer
real = writer.write_var_metadata
def slowly(*arguments):
    print("written", flush=True)
    time.sleep(60)
writer.write_var_metadata = slowly
build_artifacts(make_adata(), group_key="leiden", vars_h5_path={target!r}, progress=False)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_leaves_nothing_under_the_name_and_the_next_one_cleans_up(tmp_path, number):
    target = tmp_path / "vars.h5"
    target.write_bytes(b"")
    target.unlink()
    script = SLOW.format(paths=[str(SUPPORT), *sys.path], target=str(target))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout.readline() == "written\n"
    assert list(tmp_path.glob(".cellferry-build-*/vars.h5"))
    process.send_signal(number)
    if number == signal.SIGINT:
        time.sleep(0.5)  # the interrupt is seen; the work sleeps on
        process.kill()
    process.wait()
    process.stdout.close()
    assert not target.exists()
    build(make_adata(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["obs.duckdb", "vars.h5"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 600 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount")
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("source", ["memory", "file"])
def test_a_full_disk_is_told_and_nothing_is_left(small_disk, tmp_path, source, monkeypatch):
    monkeypatch.setattr(vars_h5_writer, "PIECES_OF_A_FILE", 0)
    adata = make_adata(3000, 200)
    if source == "file":
        adata.write_h5ad(tmp_path / "a.h5ad")
        adata = tmp_path / "a.h5ad"
    with pytest.raises(ArtifactBuildError, match="the disk is full") as error:
        build(adata, small_disk)
    assert ISSUE_URL in str(error.value)
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_while_the_metadata_is_written(small_disk, monkeypatch):
    real = obs_duckdb.write_obs_duckdb

    def after_the_other_file(*arguments):
        # Both are written at the same time; here the disk must be full for this one alone.
        deadline = time.monotonic() + 60
        while not (small_disk / "vars.h5").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        real(*arguments)

    monkeypatch.setattr(obs_duckdb, "write_obs_duckdb", after_the_other_file)
    adata = make_adata(3000, 5)
    random = np.random.default_rng(0)
    for name in "abcdefgh":
        adata.obs[name] = random.random(3000).astype(str)
    with pytest.raises(ArtifactBuildError, match=r"obs.duckdb cannot .* the disk is full"):
        build(adata, small_disk)
    assert [p.name for p in small_disk.iterdir()] == ["vars.h5"]


def test_a_limit_of_file_size_is_told_and_nothing_is_left(tmp_path):
    adata = make_adata(3000, 200)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(ArtifactBuildError, match="larger than this system allows"):
            build(adata, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
