"""Run: the durable record of one ``annotate``, and the only memory there is.

A run is a folder::

    run.json          engine, parameters, versions, hashes, status, outputs; never a secret
    journal.jsonl     one line per finished unit, on disk before the next unit begins
    study.json        the markers and cluster sizes, so that it can be resumed alone
    prevalence.json   in what part of each cluster the markers are expressed (engine local)
    annotations.json  the answer, when there is one

It lives beside ``output_name`` where one is given, else in the user's data folder
(``CELLFERRY_HOME`` overrides it).
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._version import __version__
from ..annotations.clusters import Annotations
from ..errors import OutputError, RunDamagedError, RunNotFoundError, nearest
from ..files import Json, file_hash, write_json, write_whole

SCHEMA = "cellferry.run/1"
STATUSES = ("unfinished", "finished", "failed", "interrupted")


def home() -> Path:
    """Return the folder of cellferry's own data; it may not exist yet."""
    import platformdirs

    given = os.environ.get("CELLFERRY_HOME")
    return Path(given) if given else platformdirs.user_data_path("cellferry", appauthor=False)


@dataclass
class Run:
    """One run: its record and its journal.

    Examples
    --------
    >>> run = Run.create("local", folder=getfixture("tmp_path") / "x")
    >>> run.record("cluster 0", "abc", {"label": "B cell"})
    >>> Run.open(run.id).finished()["abc"]
    {'label': 'B cell'}
    """

    id: str
    folder: Path
    content: dict[str, Any] = field(repr=False)

    @classmethod
    def create(
        cls, engine: str, folder: Path | None = None, *, remembered: bool = True, **content: object
    ) -> Run:
        """Make the folder and write ``run.json``.

        A run in a folder of the caller's is found by its id as well, unless it is not to be
        ``remembered`` in the user's data folder.

        Parameters
        ----------
        engine
            Its name.
        folder
            Where the run is; None is a new folder in the user's data folder.
        remembered
            Whether it is found by its id.
        content
            More of the record, JSON-serialisable: parameters, hashes; never a secret.

        Raises
        ------
        OutputError
            The folder cannot be made or written.
        """
        now = datetime.datetime.now(datetime.UTC)
        identifier = f"{now:%Y%m%dT%H%M%SZ}-{engine}-{secrets.token_hex(3)}"
        target = folder or home() / "runs" / identifier
        earlier = _outputs_of(target)
        record = {
            "schema": SCHEMA,
            "id": identifier,
            "created": now.isoformat(timespec="microseconds"),
            "status": "unfinished",
            "engine": engine,
            "versions": {"cellferry": __version__, "python": platform.python_version()},
            "remote_job_id": None,
            "outputs": earlier,
            "error": None,
            **content,
        }
        run = cls(identifier, target, record)
        try:
            target.mkdir(parents=True, exist_ok=True)
            (target / "journal.jsonl").touch()
            if folder is not None and remembered:
                _remember(identifier, target)
            run.save()
        except OSError as error:
            message = f'The folder of the run, "{target}", cannot be written: {error.strerror}.'
            raise OutputError(message, "Choose another place, or set CELLFERRY_HOME.") from error
        return run

    @classmethod
    def open(cls, identifier: str | os.PathLike[str]) -> Run:
        """Return the run of an id (or of a folder).

        Raises
        ------
        RunNotFoundError, RunDamagedError
        """
        folder = _find(identifier)
        try:
            content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA:
                message = f'The run in "{folder}" has the schema "{content["schema"]}".'
                raise RunDamagedError(message, f'This version reads "{SCHEMA}": update cellferry.')
            return cls(content["id"], folder, content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f'The record of the run in "{folder}" cannot be read.'
            raise RunDamagedError(message, "Its journal.jsonl may still have results.") from error

    def save(self) -> None:
        """Write ``run.json`` so that a crash leaves the old or the new one, never half."""
        write_json(self.folder / "run.json", self.content, indent=1)

    def update(self, **content: object) -> None:
        """Change parts of the record and save it."""
        self.content.update(content)
        self.save()

    def record(self, unit: str, key: str, payload: Mapping[str, Json]) -> None:
        """Make one finished unit durable.

        Parameters
        ----------
        unit
            What it is, for people: a cluster, a chunk, an upload part.
        key
            Hash of everything that determines the payload.
        payload
            JSON-serialisable.
        """
        line = json.dumps({"unit": unit, "key": key, "payload": payload}, ensure_ascii=False)
        path = self.folder / "journal.jsonl"
        with path.open("r+b") as journal:
            # A crash in mid-write leaves a last line without its end: cut it off.
            journal.seek(_complete_bytes(path))
            journal.truncate()
            journal.write(line.encode() + b"\n")
            journal.flush()
            os.fsync(journal.fileno())

    def finished(self) -> dict[str, Any]:
        """Return key -> payload of every unit in the journal; a half-written line is ignored."""
        path = self.folder / "journal.jsonl"
        whole = path.read_bytes()[: _complete_bytes(path)]
        return {entry["key"]: entry["payload"] for entry in map(json.loads, whole.splitlines())}

    def store(self, name: str, content: Mapping[str, Json]) -> None:
        """Write one JSON file of the run."""
        write_json(self.folder / name, content)

    def load(self, name: str) -> dict[str, Any]:
        """Read one JSON file of the run; raises :class:`RunDamagedError`."""
        try:
            content: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f'The run "{self.id}" has no readable {name}.'
            raise RunDamagedError(message, "Annotate again.") from error
        return content

    def results(self) -> Annotations:
        """Return the annotations of a finished run; raises :class:`RunNotFoundError`."""
        if not (self.folder / "annotations.json").exists():
            message = f'The run "{self.id}" is {self.content["status"]} and has no results.'
            raise RunNotFoundError(message, f"Finish it: cellferry runs resume {self.id}")
        return Annotations.from_dict(self.load("annotations.json"))

    def claim(self, path: Path, overwrite: bool = False) -> None:
        """Check that an output may be written: absent, or written by a run and unchanged.

        Parameters
        ----------
        path
            The output.
        overwrite
            True allows every file.

        Raises
        ------
        OutputError
            The file is somebody else's, or was edited since.
        """
        if not path.exists() or overwrite:
            return
        owned = self.content["outputs"].get(str(path.resolve()))
        if owned != file_hash(path):
            message = f'The file "{path}" exists and was not written by this run, or was changed.'
            raise OutputError(message, "Choose another name, or pass `overwrite=True`.")

    def wrote(self, path: Path) -> None:
        """Remember an output with its hash, so that this run may replace it later."""
        self.content["outputs"][str(path.resolve())] = file_hash(path)
        self.save()


def list_runs() -> list[Run]:
    """Return all runs that can be read, newest first."""
    found: list[Run] = []
    for folder in _folders():
        try:
            found.append(Run.open(folder))
        except (RunDamagedError, RunNotFoundError):
            continue
    return sorted(found, key=lambda run: str(run.content["created"]), reverse=True)


def claim_outputs(folder: Path, paths: list[Path], *, overwrite: bool = False) -> None:
    """Refuse to replace a file that the run of a folder did not write; see :meth:`Run.claim`."""
    known = (folder / "run.json").exists()
    owner = Run.open(folder) if known else Run("", folder, {"outputs": {}})
    for path in paths:
        owner.claim(path, overwrite)


def _outputs_of(folder: Path) -> dict[str, str]:
    """Return the outputs of an earlier run of the folder: they stay this run's to replace."""
    try:
        return dict(Run.open(folder).content["outputs"]) if folder.exists() else {}
    except (RunNotFoundError, RunDamagedError, KeyError, TypeError, ValueError):
        return {}


def _folders() -> Iterator[Path]:
    base = home() / "runs"
    if not base.is_dir():
        return
    for entry in base.iterdir():
        if entry.is_dir():
            yield entry
        elif entry.suffix == ".folder":
            target = Path(entry.read_text(encoding="utf-8").strip())
            if target.is_dir():
                yield target


def _remember(identifier: str, folder: Path) -> None:
    base = home() / "runs"
    base.mkdir(parents=True, exist_ok=True)
    write_whole(base / f"{identifier}.folder", str(folder.resolve()))


def _find(identifier: str | os.PathLike[str]) -> Path:
    as_path = Path(identifier)
    if (as_path / "run.json").is_file():
        return as_path
    base = home() / "runs"
    name = as_path.name
    if (base / name / "run.json").is_file():
        return base / name
    pointer = base / f"{name}.folder"
    if pointer.is_file():
        return Path(pointer.read_text(encoding="utf-8").strip())
    known = [run.id for run in list_runs()]
    guess = nearest(str(identifier), known)
    message = f'There is no run "{identifier}".'
    hint = f'Did you mean "{guess}"?' if guess else "See `cellferry runs list` or ListRuns()."
    raise RunNotFoundError(message, hint)


def _complete_bytes(path: Path) -> int:
    """Return how many bytes of the journal are whole lines, reading from its end."""
    step = 1 << 16
    with path.open("rb") as journal:
        end = journal.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - step)
            journal.seek(start)
            found = journal.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
