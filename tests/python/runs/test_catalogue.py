import pytest

from cellferry import annotate_clusters, runs
from cellferry.errors import (
    InvalidOptionError,
    RunDamagedError,
    RunLockedError,
    RunNotFoundError,
    RunPlaceWarning,
)
from cellferry.runs.lock import held
from cellferry.runs.places import remember
from cellferry.runs.run import Run, list_runs

B = {"0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}


def made(days=0, **content):
    run = Run.create("local", **content)
    if days:
        import datetime

        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        run.update(created=then.isoformat())
    return run


def test_a_run_is_listed_once_however_often_it_is_registered(tmp_path):
    run = Run.create("local", folder=tmp_path / "x_run")
    remember("again", tmp_path / "x_run")
    (tmp_path / "link").symlink_to(tmp_path / "x_run")
    remember("by-link", tmp_path / "link")
    Run.create("local", folder=tmp_path / "x_run")
    assert len(list_runs()) == 1
    assert Run.open(run.id).folder == tmp_path / "x_run"


def test_cells_and_tissue_are_in_the_record():
    found = annotate_clusters(B, tissue="blood", progress=False)
    run = Run.open(found.provenance["run"])
    assert run.shape() == (None, "blood")
    assert run.size() > 500


def test_a_run_is_deleted_and_what_is_the_users_stays(tmp_path):
    run = Run.create("local", folder=tmp_path / "x_run")
    output = tmp_path / "x.csv"
    run.write(output, lambda path: path.write_text("labels"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "annotations.json").write_text("mine")
    (run.folder / "annotations.json").symlink_to(tmp_path / "elsewhere" / "annotations.json")
    (run.folder / "chunks").symlink_to(tmp_path / "elsewhere")
    (run.folder / "notes.txt").write_text("mine")
    assert runs.delete_runs(run.id, dry_run=True)[0].kept == ()
    (gone,) = runs.delete_runs(run.id)
    assert gone.kept == ("chunks", "notes.txt")
    assert (tmp_path / "elsewhere" / "annotations.json").read_text() == "mine"
    assert output.read_text() == "labels"
    assert list_runs() == []
    with pytest.raises(RunNotFoundError):
        Run.open(run.id)
    other = made()
    runs.delete_runs(other.folder)
    assert not other.folder.exists()


def test_a_folder_that_is_not_surely_a_run_is_not_touched(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "run.json").write_text('{"schema": "their/1"}')
    (folder / "journal.jsonl").write_text("theirs")
    with pytest.raises(RunDamagedError, match="not surely"):
        runs.delete_runs(folder)
    run = made()
    (tmp_path / "link").symlink_to(run.folder)
    with pytest.raises(RunDamagedError, match="not surely"):
        runs.delete_runs(tmp_path / "link")
    with pytest.raises(RunNotFoundError):
        runs.delete_runs(run.id, "nothing")
    assert run.folder.exists()
    assert (folder / "journal.jsonl").read_text() == "theirs"


def test_a_run_at_work_is_not_deleted():
    import threading

    run, errors = made(), []

    def delete():
        try:
            runs.delete_runs(run.id)
        except RunLockedError as error:
            errors.append(error)

    with held(run.folder):
        thread = threading.Thread(target=delete)
        thread.start()
        thread.join()
    assert errors
    assert run.folder.exists()


def test_pruning_takes_only_what_fits_all_that_is_said():
    old, older, new = made(40), made(50, status="finished"), made(status="finished")
    assert runs.prune_runs(older_than="30d", dry_run=True)
    assert len(list_runs()) == 3
    assert [g.run for g in runs.prune_runs(older_than="30d", finished=True)] == [older.id]
    assert [g.run for g in runs.prune_runs(finished=True, keep=1)] == []
    assert [g.run for g in runs.prune_runs(older_than=30)] == [old.id]
    assert [run.id for run in list_runs()] == [new.id]
    for wrong in ({}, {"older_than": "soon"}, {"keep": -1}, {"older_than": True}):
        with pytest.raises(InvalidOptionError):
            runs.prune_runs(**wrong)


def test_a_moved_run_says_where_it_was_and_is_found_again(tmp_path):
    run = Run.create("local", folder=tmp_path / "x_run")
    (tmp_path / "x_run").rename(tmp_path / "y_run")
    with pytest.raises(RunNotFoundError, match=r"x_run.*not there any more") as caught:
        Run.open(run.id)
    assert "new place" in caught.value.hint
    Run.open(tmp_path / "y_run")
    assert Run.open(run.id).folder == tmp_path / "y_run"


def test_a_home_that_cannot_be_written_does_no_harm_where_the_files_can(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path / "file" / "home"))
    with pytest.warns(RunPlaceWarning, match="found by its own folder only"):
        run = Run.create("local", folder=tmp_path / "x_run")
    assert Run.open(tmp_path / "x_run").id == run.id
    assert list_runs() == []
