"""Whose folder it is: one of others stays as it is, and only what is ours is ever removed."""

import shutil
import sqlite3

import pytest

from cellferry.errors import OutputError
from cellferry.server.folder import MARKER, own_files, own_folders, set_aside
from cellferry.server.service import Server
from cellferry.server.settings import Settings
from cellferry.server.store import new_id


def started(folder):
    """Start a server on a folder, look around, end it."""
    server = Server(Settings(folder, free_bytes=0))
    server.start()
    server.close()


def tree(folder):
    """Return every path with its content and permissions."""
    return {
        path.relative_to(folder): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


def project(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}")


def foreign_database(path, table="notes", version=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as sql:
        sql.execute(f"CREATE TABLE {table} (id TEXT)")
        sql.execute(f"PRAGMA user_version = {version}")
    sql.close()


@pytest.mark.parametrize(
    "names",
    [
        ("jobs/a.sh", "uploads/b.csv", "incoming/c.txt"),
        (f"jobs/{new_id()}/results.json", f"uploads/{new_id()}"),
        ("thesis.docx",),
        (".env",),
        ("signing.key", "jobs/a"),
        ("lock", "uploads/a"),
        ("cellferry-server.json",),
        ("server.sqlite", "jobs/a"),
        ("set-aside/a",),
    ],
)
def test_a_folder_of_others_stays_as_it_is(tmp_path, names):
    folder = tmp_path / "project"
    project(folder, *names)
    before = tree(folder)
    with pytest.raises(OutputError, match="not empty and no data folder") as caught:
        started(folder)
    assert "--data" in caught.value.hint
    assert tree(folder) == before


@pytest.mark.parametrize(("table", "version"), [("notes", 0), ("jobs", 1), ("uploads", 1)])
def test_a_database_of_others_is_not_ours(tmp_path, table, version):
    foreign_database(tmp_path / "x" / "server.sqlite", table, version)
    project(tmp_path / "x", "jobs/a.sh")
    before = tree(tmp_path / "x")
    with pytest.raises(OutputError, match="no data folder"):
        started(tmp_path / "x")
    assert tree(tmp_path / "x") == before


@pytest.mark.parametrize("name", ["jobs", "uploads", "incoming", "server.sqlite", "signing.key"])
def test_a_link_in_a_place_of_ours_is_not_followed(tmp_path, name):
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    started(folder)
    project(elsewhere, "thesis.docx", new_id())
    (elsewhere / new_id()).mkdir()
    mine = folder / name
    if mine.is_dir():
        shutil.rmtree(mine)
        target = elsewhere
    else:
        mine.unlink()
        target = elsewhere / "thesis.docx"
    mine.symlink_to(target)
    before = tree(elsewhere)
    with pytest.raises(OutputError, match=f'"{name}".*is a link'):
        started(folder)
    assert tree(elsewhere) == before


def test_what_is_not_ours_in_a_folder_of_ours_stays_and_stops_nothing(tmp_path):
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    started(folder)
    project(elsewhere, "a", "b/c")
    for place in ("jobs", "uploads", "incoming"):
        project(folder / place, ".DS_Store", "notes/mine.txt", f"{new_id()}.csv")
        (folder / place / "link").symlink_to(elsewhere)
        (folder / place / new_id()).symlink_to(elsewhere)
    (folder / "uploads" / new_id()).mkdir()  # a folder where files are
    (folder / "jobs" / new_id()).write_text("a file where folders are")
    project(folder, ".DS_Store", "README.txt")
    before, linked = tree(folder), tree(elsewhere)
    started(folder)
    assert tree(elsewhere) == linked
    after = tree(folder)
    assert {p: after.get(p) for p in before if "server.sqlite" not in p.name} == {
        p: c for p, c in before.items() if "server.sqlite" not in p.name
    }


def test_what_the_system_leaves_in_a_new_folder_is_of_no_account(tmp_path):
    project(
        tmp_path / "data", ".DS_Store", "._jobs", "Thumbs.db", ".cellferry-server.a.partial.json"
    )
    started(tmp_path / "data")
    assert (tmp_path / "data" / MARKER).exists()


def test_only_ids_are_ours(tmp_path):
    file, folder = tmp_path / new_id(), tmp_path / new_id()
    file.touch()
    folder.mkdir()
    (tmp_path / "x").touch()
    (tmp_path / new_id()).symlink_to(file)
    assert [*own_files(tmp_path)] == [file]
    assert [*own_folders(tmp_path)] == [folder]


def test_what_is_set_aside_replaces_nothing(tmp_path):
    for content in ("one", "two"):
        project(tmp_path, "jobs/x")
        (tmp_path / "jobs" / "x").write_text(content)
        set_aside(tmp_path / "jobs" / "x", tmp_path)
    kept = sorted((tmp_path / "set-aside" / "jobs").iterdir())
    assert [path.read_text() for path in kept] == ["one", "two"]
