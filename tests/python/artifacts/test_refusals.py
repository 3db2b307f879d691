import errno
import os

import h5py
import pytest

from cellferry.artifacts import targets as refusals
from cellferry.artifacts.targets import as_build_error, check_target
from cellferry.errors import ISSUE_URL, ArtifactBuildError, ArtifactValuesError


def refused(target, name="vars.h5", **options):
    with pytest.raises(ArtifactBuildError) as error:
        check_target(name, target, **{"overwrite": False, **options})
    assert ISSUE_URL in str(error.value)
    assert error.value.data == {"artifact": name, "path": str(target)}
    return error.value.message


def test_a_missing_folder_and_a_folder_are_refused(tmp_path):
    assert "there is no folder" in refused(tmp_path / "absent" / "vars.h5")
    assert "that is a folder" in refused(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="permissions of another kind")
def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert "no permission" in refused(tmp_path / "vars.h5")


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    target = tmp_path / "vars.h5"
    target.write_text("precious")
    assert "it is no vars.h5" in refused(target)
    check_target("vars.h5", target, overwrite=True)
    with h5py.File(target, "w") as file:
        file["X"] = 1
    assert "it is no vars.h5" in refused(target)
    assert "it is no obs.duckdb" in refused(target, "obs.duckdb")


def test_an_earlier_artifact_is_replaced(tmp_path):
    target = tmp_path / "vars.h5"
    with h5py.File(target, "w") as file:
        file.create_group("vars")
    check_target("vars.h5", target, overwrite=False)
    database = tmp_path / "obs.duckdb"
    database.write_bytes(b"12345678DUCK")
    check_target("obs.duckdb", database, overwrite=False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (RuntimeError("Can't write data (errno = 28, ...)"), "the disk is full"),
        (OSError(errno.EFBIG, "File too large"), "larger than this system allows"),
        (PermissionError(errno.EACCES, "no"), "no permission"),
        (RuntimeError("something else"), "RuntimeError: something else"),
    ],
)
def test_a_failure_is_told_in_words_with_the_link(tmp_path, error, words):
    found = as_build_error(error, "vars.h5", tmp_path / "vars.h5")
    assert words in found.message
    assert ISSUE_URL in found.hint


def test_a_write_that_fails_without_a_reason_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(refusals, "FULL_BELOW", 1 << 60)
    found = as_build_error(RuntimeError("?"), "vars.h5", tmp_path / "vars.h5")
    assert "the disk is full" in found.message


def test_an_error_that_already_explains_itself_only_gets_the_link(tmp_path):
    error = ArtifactValuesError("It is NaN.", "Find out why.")
    found = as_build_error(error, "vars.h5", tmp_path / "vars.h5")
    assert found is error
    assert found.hint.startswith("Find out why.")
    assert as_build_error(error, "vars.h5", tmp_path).hint.count(ISSUE_URL) == 1
