"""Data folders that are damaged, of others, or used by a second server."""

import shutil
import sqlite3
import tempfile
import uuid
from pathlib import Path

from tests.attack.chance import Tally, chosen, times

from cellferry.errors import CellferryError
from cellferry.server.service import Server
from cellferry.server.settings import Settings
from server_process import ServerProcess, submit

DATABASE = ("server.sqlite", "server.sqlite-wal", "server.sqlite-shm")
NAMES = ("notes.txt", ".DS_Store", "a b", "x" * 200, "é", "server.sqlite.bak", "link")


def rows(scale):
    draw = chosen("folders")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        yield of_others(folder / "others", draw, times(60, scale))
        made = folder / "made"
        with ServerProcess(made) as server:
            job = submit(server)
            server.wait_for(job)
            second = Tally("a second server on one folder: refused")
            for _ in range(times(5, scale)):
                second.add(start(made) == "DataInUseError")
        yield second.row
        old = sqlite3.connect(made / "lock.sqlite", isolation_level=None)
        old.execute("BEGIN EXCLUSIVE")
        seen = Tally("a folder that a server of 0.1.0 uses: refused")
        seen.add(start(made) == "DataInUseError")
        old.close()
        yield seen.row
        yield damaged(folder, made, job, draw, times(60, scale))
        yield strays(folder, made, job, draw, times(30, scale))


def start(folder):
    """Start on a folder and end; returns None, or the name of what was raised."""
    try:
        server = Server(Settings(folder, free_bytes=0))
        server.start()
        server.close()
    except CellferryError as error:
        return type(error).__name__
    return None


def tree(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() and not p.is_symlink() else None
        for p in folder.rglob("*")
    }


def of_others(folder, draw, n):
    tally = Tally("a folder of others, with names that a server uses: refused, unchanged")
    for i in range(n):
        place = folder / str(i)
        place.mkdir(parents=True)
        for _ in range(draw.randint(1, 6)):
            parent = place / draw.choice(["jobs", "uploads", "incoming", ".", "set-aside", "data"])
            parent.mkdir(exist_ok=True)
            name = draw.choice([*NAMES, str(uuid.UUID(int=draw.getrandbits(128), version=4))])
            if not (parent / name).exists():
                (parent / name).write_text("mine")
        if {p.name for p in place.iterdir()} <= {".DS_Store"}:
            (place / "thesis.docx").write_text("mine")
        before = tree(place)
        try:
            found = start(place)
        except Exception as error:
            found = repr(error)
        tally.add(found == "OutputError" and tree(place) == before, found)
    return tally.row


def damaged(folder, made, job, draw, n):
    tally = Tally("a damaged data folder: answers kept, or refused with nothing deleted")
    for i in range(n):
        place = folder / f"damaged{i}"
        shutil.copytree(made, place)
        results = (place / "jobs" / job / "results.json").read_bytes()
        how = draw.choice(["lost", "empty", "cut", "garbage", "flip", "no marker", "no key"])
        path = place / "server.sqlite"
        if how == "lost":
            for name in DATABASE:
                (place / name).unlink(missing_ok=True)
        elif how == "empty":
            for name in DATABASE[1:]:
                (place / name).unlink(missing_ok=True)
            path.write_bytes(b"")
        elif how == "no marker":
            (place / "cellferry-server.json").unlink()
        elif how == "no key":
            (place / "signing.key").write_bytes(b"")
        else:
            content = bytearray(path.read_bytes())
            if how == "cut":
                content = content[: draw.randrange(len(content))]
            elif how == "garbage":
                at = draw.randrange(len(content))
                content[at : at + 500] = draw.randbytes(500)
            else:
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            path.write_bytes(content)
        try:
            found = start(place)
        except Exception as error:
            found = repr(error)
        kept = [p for p in place.rglob("results.json") if p.read_bytes() == results]
        tally.add(found in {None, "OutputError"} and kept, f"{how}: {found}, kept {len(kept)}")
        shutil.rmtree(place)
    return tally.row


def strays(folder, made, job, draw, n):
    tally = Tally("stray files, folders and links in a data folder: it starts, they stay")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.docx").write_text("mine")
    for i in range(n):
        place = folder / f"strays{i}"
        shutil.copytree(made, place)
        added = set()
        for _ in range(draw.randint(1, 5)):
            parent = place / draw.choice(["jobs", "uploads", "incoming", "."])
            kind = draw.choice(["file", "folder", "link", "linked id"])
            name = f"{draw.choice(NAMES)}{draw.randrange(999)}"
            if kind == "linked id":
                name = str(uuid.UUID(int=draw.getrandbits(128), version=4))
            stray = parent / name
            if kind == "file":
                stray.write_text("mine")
            elif kind == "folder":
                stray.mkdir(exist_ok=True)
                (stray / "a").write_text("mine")
            else:
                stray.symlink_to(elsewhere)
            added.add(stray)
        try:
            found = start(place)
        except Exception as error:
            found = repr(error)
        here = all(p.is_symlink() or p.exists() for p in added)
        safe = (elsewhere / "thesis.docx").exists() and (place / "jobs" / job).is_dir()
        tally.add(found is None and here and safe, found)
        shutil.rmtree(place)
    return tally.row
