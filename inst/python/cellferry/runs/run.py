"""Run: the durable record of one ``annotate``, and the only memory there is.

A run is a folder::

    run.json          engine, parameters, versions, hashes, status, outputs; never a secret
    journal.jsonl     one line per finished unit, on disk before the next unit begins
    outputs.jsonl     one line per file that was written, or was about to be
    study.json        the markers and cluster sizes, so that it can be resumed alone
    prevalence.json   in what part of each cluster the markers are expressed (engine local)
    annotations.json  the answer, when there is one
    decisions.jsonl   what persons decided about it, one line each
    run.lock          held while somebody works on the run

All have checksums, but what an older version wrote. The folder lives beside ``output_name``
where one is given, else in the user's data folder (``CELLFERRY_HOME`` overrides it).
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import software
from ..annotations.clusters import Annotations
from ..errors import (
    AnnotationsFormatError,
    OutputError,
    RunDamagedError,
    RunDamagedWarning,
    RunNotFoundError,
    RunPlaceWarning,
    counted,
)
from ..files import Json, file_hash, replacing, sweep, write_json, write_whole
from ..study.record import record_hash, study_from_record
from . import places
from .decided import decided, decisions_in
from .journal import Journal
from .lock import holder_of
from .places import RECORD, home
from .sealed import SUM, content_sum, sealed, unsealed

if TYPE_CHECKING:
    from ..study.study import Study
    from .lock import Session

SCHEMA = "cellferry.run/1"
STATUSES = ("unfinished", "finished", "failed", "interrupted")
_UNSUMMED = frozenset({SUM, "status", "error"})
"""Members of the record that say how far it got, and determine nothing."""
_MEMBERS: dict[str, type] = {
    "id": str, "created": str, "engine": str, "status": str, "outputs": dict,
}  # fmt: skip
_OF_ANNOTATE: dict[str, type] = {
    "options": dict, "provenance": dict, "object_hash": str, "input_hash": str,
}  # fmt: skip

__all__ = ["SCHEMA", "STATUSES", "Run", "claim_outputs", "home", "list_runs"]


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
    session: Session | None = field(default=None, repr=False, compare=False)
    """The time in which it is worked on; what is written after its end is refused."""

    def __post_init__(self) -> None:
        self._journal = Journal(self.folder / "journal.jsonl")
        self._outputs = Journal(self.folder / "outputs.jsonl")

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
            The folder cannot be made or written, or is something else's.

        Warns
        -----
        RunPlaceWarning
            The user's data folder cannot be written: the run is found by its folder only.
        """
        now = datetime.datetime.now(datetime.UTC)
        identifier = f"{now:%Y%m%dT%H%M%SZ}-{engine}-{secrets.token_hex(3)}"
        target = folder or home() / "runs" / identifier
        check_folder(target)
        earlier = _outputs_of(target)
        record = {
            "schema": SCHEMA,
            "sealed": True,
            "id": identifier,
            "created": now.isoformat(timespec="microseconds"),
            "status": "unfinished",
            "engine": engine,
            "versions": software(),
            "remote_job_id": None,
            "outputs": earlier,
            "error": None,
            **content,
        }
        run = cls(identifier, target, record)
        try:
            target.mkdir(parents=True, exist_ok=True)
            (target / "journal.jsonl").touch()
            # Of an earlier run of the folder; it would be taken for what was read of this study.
            (target / "prevalence.json").unlink(missing_ok=True)
            run.save()
        except OSError as error:
            raise _not_written(target, error) from error
        if folder is not None and remembered:
            try:
                places.remember(identifier, target)
            except OSError as error:
                message = (
                    f'The data folder "{home()}" cannot be written ({error.strerror}), so the run '
                    f'is found by its own folder only: "{target}".'
                )
                hint = "Set CELLFERRY_HOME to a folder that can be written to have it listed."
                warnings.warn(RunPlaceWarning(message, hint), stacklevel=2)
        return run

    @classmethod
    def open(cls, identifier: str | os.PathLike[str]) -> Run:
        """Return the run of an id (or of a folder).

        Raises
        ------
        RunNotFoundError, RunDamagedError
        """
        folder = places.find(identifier)
        content = _record_of(folder)
        places.remember_again(content["id"], folder)
        return cls(content["id"], folder, content)

    def reload(self) -> None:
        """Read the record again: another process may have changed it."""
        self.content = _record_of(self.folder)

    def save(self) -> None:
        """Write ``run.json`` so that a crash leaves the old or the new one, never half.

        Raises
        ------
        OutputError
        """
        self._check_session()
        content = {k: v for k, v in self.content.items() if k != SUM}
        # As it will be read: a tuple becomes a list, a key text.
        plain = json.loads(json.dumps(content))
        plain[SUM] = content_sum(plain, _UNSUMMED)
        try:
            write_json(self.folder / RECORD, plain, indent=1)
        except OSError as error:
            raise _not_written(self.folder, error) from error

    def update(self, **content: object) -> None:
        """Change parts of the record and save it."""
        self.content.update(content)
        self.save()

    def needed(self, name: str) -> Any:
        """Return what every run of an annotation has; raises :class:`RunDamagedError`.

        Parameters
        ----------
        name
            ``"options"``, ``"provenance"``, ``"object_hash"`` or ``"input_hash"``.
        """
        found = self.content.get(name)
        if not isinstance(found, _OF_ANNOTATE[name]):
            raise _damaged(self.folder, f'it has no "{name}"')
        return found

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the caller wanted remembered; empty where nothing was."""
        found = self.content.get("provenance")
        return found if isinstance(found, dict) else {}

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

        Raises
        ------
        OutputError
            It cannot be written.
        """
        self._check_session()
        try:
            self._journal.append(unit, key, payload)
        except OSError as error:
            raise _not_written(self.folder, error) from error

    def finished(self) -> dict[str, Any]:
        """Return key -> payload of every unit in the journal.

        A half-written line and a damaged one are left out; see :meth:`mend`.
        """
        try:
            return self._journal.read().units
        except OSError as error:
            message = f'The journal of the run in "{self.folder}" cannot be read: {error.strerror}.'
            raise RunDamagedError(message, "Check the folder and its disk.") from error

    def mend(self) -> None:
        """Set aside what was damaged on the disk, and warn of it: it is done again.

        Whoever calls has the run for himself; see :func:`cellferry.runs.lock.held`.
        """
        sweep(self.folder)
        try:
            damaged = self._journal.mend()
            self._outputs.mend()
        except OSError as error:
            raise _not_written(self.folder, error) from error
        if damaged:
            message = (
                f'{counted(damaged, "line")} of the journal of the run "{self.id}" '
                f"{'is' if damaged == 1 else 'are'} damaged. What was in it is asked again."
            )
            kept = counted(len(self.finished()), "other answer")
            hint = f"{kept} of it are used. Check the disk; see journal.damaged in its folder."
            warnings.warn(RunDamagedWarning(message, hint), stacklevel=2)

    def store(self, name: str, content: Mapping[str, Json], *, compact: bool = False) -> None:
        """Write one JSON file of the run; ``compact`` is for tables of many finite numbers.

        Raises
        ------
        OutputError
        """
        self._check_session()
        try:
            write_whole(self.folder / name, sealed(content, compact=compact))
        except OSError as error:
            raise _not_written(self.folder, error) from error

    def load(self, name: str) -> dict[str, Any]:
        """Read one JSON file of the run; raises :class:`RunDamagedError`."""
        try:
            content, was_sealed = unsealed((self.folder / name).read_bytes())
        except (OSError, ValueError) as error:
            message = f'The run "{self.id}" has no readable {name}.'
            raise RunDamagedError(message, "Annotate again.") from error
        if self.content.get("sealed") and not was_sealed:
            message = f'{name} of the run "{self.id}" is not what was written.'
            raise RunDamagedError(message, "Annotate again.")
        return content

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, readable or not."""
        return (self.folder / name).exists()

    def study(self) -> Study:
        """Return what the run keeps of its study.

        Raises
        ------
        RunDamagedError
            It is not what was written.
        """
        hint = (
            "Annotate the same object or table again, under the same name of the files where there "
            "is one: what the journal has is used."
        )
        try:
            stored = self.load("study.json")
            expected = self.content.get("input_hash")
            if expected is None or record_hash(stored) == expected:
                return study_from_record(stored)
        except RunDamagedError as error:
            raise RunDamagedError(error.message, hint) from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise RunDamagedError(self._study_damaged(), hint) from error
        raise RunDamagedError(self._study_damaged(), hint)

    def _study_damaged(self) -> str:
        return f'The markers and clusters that the run "{self.id}" keeps are damaged (study.json).'

    def results(self) -> Annotations:
        """Return the annotations of a finished run, with the labels that persons put in force.

        Raises
        ------
        RunNotFoundError, RunDamagedError
            As of :meth:`answer`.

        Warns
        -----
        DecisionsWarning
            Lines of its decisions are damaged.
        """
        return decided(self.answer(), decisions_in(self.folder), self.id)

    def answer(self) -> Annotations:
        """Return the annotations of a finished run as its engine answered.

        Raises
        ------
        RunNotFoundError
            There are none yet.
        RunDamagedError
            They are not what was written.
        """
        if not self.has("annotations.json"):
            message = f'The run "{self.id}" is {self.content["status"]} and has no results.'
            raise RunNotFoundError(message, f"Finish it: cellferry runs resume {self.id}")
        try:
            return Annotations.from_dict(self.load("annotations.json"))
        except (RunDamagedError, AnnotationsFormatError) as error:
            message = f'The results of the run "{self.id}" are damaged (annotations.json).'
            hint = f"Make them again from its journal: cellferry runs resume {self.id}"
            raise RunDamagedError(message, hint) from error

    # --- output files -------------------------------------------------------------------

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
        if not path.is_file() or file_hash(path) not in self._hashes(path):
            message = f'The file "{path}" exists and was not written by this run, or was changed.'
            raise OutputError(message, "Choose another name, or pass `overwrite=True`.")

    def _hashes(self, path: Path) -> set[str]:
        names = {str(path.resolve()), self._relative(path)}
        found = {v for k, v in self.content["outputs"].items() if k in names}
        for key, payload in self._outputs.read().units.items():
            # The name and the hash, so that no line takes the place of another.
            if key.partition("\x1f")[2] in names:
                found.add(str(payload.get("sha256")))
        return found

    def _relative(self, path: Path) -> str:
        """Return the path as seen from the folder, so that both may be moved together."""
        try:
            return os.path.relpath(path.resolve(), self.folder.resolve())
        except ValueError:  # another drive
            return str(path.resolve())

    def write(self, path: Path, writer: Callable[[Path], object]) -> None:
        """Write an output, whole.

        Its hash is remembered before it gets its name: however the process ends, the file is
        this run's to replace.

        Parameters
        ----------
        path
            The output, which has been claimed.
        writer
            Called with a temporary path of the same suffix, which it writes.

        Raises
        ------
        OutputError
            It cannot be written; the old file is still there.
        """
        self._check_session()
        digest = ""

        def before(partial: Path) -> None:
            nonlocal digest
            digest = file_hash(partial)
            self._remember_output(path, digest)

        try:
            with replacing(path, before=before) as partial:
                writer(partial)
        except OSError as error:
            message = f'The file "{path}" cannot be written: {error.strerror or error}.'
            raise OutputError(message, "Make room, or choose another place.") from error
        except OutputError as error:
            if partial.name not in error.message:
                raise
            # The hidden name of the temporary file helps nobody.
            shown = error.message.replace(str(partial), str(path)).replace(partial.name, path.name)
            raise OutputError(shown, error.hint, path=str(path)) from error
        self.content["outputs"][str(path.resolve())] = digest

    def wrote(self, path: Path) -> None:
        """Remember an output with its hash, so that this run may replace it later."""
        digest = file_hash(path)
        self._remember_output(path, digest)
        self.content["outputs"][str(path.resolve())] = digest
        self.save()

    def _remember_output(self, path: Path, digest: str) -> None:
        name = self._relative(path)
        try:
            self._outputs.append(path.name, f"{digest}\x1f{name}", {"sha256": digest})
        except OSError as error:
            raise _not_written(self.folder, error) from error

    def _check_session(self) -> None:
        if self.session is not None and self.session.over:
            from .worker import CancelledWork

            raise CancelledWork

    # --- what lists show ----------------------------------------------------------------

    def state(self) -> str:
        """Return the status, or ``running`` while a process of this machine works on it.

        Of an interrupted run a request may still be under way; no answer of it is kept.
        """
        status = str(self.content["status"])
        if status == "unfinished":
            holder = holder_of(self.folder)
            if holder is not None and holder.is_alive():
                return "running"
        return status

    def shape(self) -> tuple[int | None, str | None]:
        """Return how many cells were annotated, and the tissue; None where nobody knows."""
        if "n_cells" in self.content:
            return self.content["n_cells"], self.content.get("tissue")
        # Of an older version.
        try:
            stored = self.load("study.json")
            sizes, context = stored.get("sizes"), stored.get("context") or {}
            return (None if sizes is None else int(sum(sizes))), context.get("tissue")
        except (RunDamagedError, TypeError, ValueError, AttributeError):
            return None, None

    def size(self) -> int:
        """Return how many bytes its folder has on the disk; links are not followed."""
        total = 0
        for place, _, names in os.walk(self.folder):
            for name in names:
                try:
                    total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
                except OSError:
                    continue
        return total


def list_runs() -> list[Run]:
    """Return all runs that can be read, each once, newest first."""
    found: list[Run] = []
    for folder in places.run_folders():
        try:
            found.append(Run.open(folder))
        except (RunDamagedError, RunNotFoundError):
            continue
    return sorted(found, key=lambda run: str(run.content["created"]), reverse=True)


def claim_outputs(folder: Path, paths: list[Path], *, overwrite: bool = False) -> None:
    """Refuse to replace a file that the run of a folder did not write; see :meth:`Run.claim`."""
    owner = Run("", folder, {"outputs": _outputs_of(folder)})
    for path in paths:
        owner.claim(path, overwrite)


def check_folder(folder: Path) -> None:
    """Raise :class:`OutputError` where a run cannot be made because a folder is something else's.

    Parameters
    ----------
    folder
        That of the run; it need not be there.
    """
    try:
        content = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        # Absent, or a damaged one, which is made anew.
        return
    schema = content.get("schema") if isinstance(content, dict) else None
    ours = isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0])
    if not ours and not (folder / "journal.jsonl").exists():
        message = f'"{folder / RECORD}" is no record of a run of cellferry, and is not replaced.'
        raise OutputError(message, "Choose another name for the files.")


def _record_of(folder: Path) -> dict[str, Any]:
    """Read ``run.json``; raises :class:`RunDamagedError`."""
    try:
        content = json.loads((folder / RECORD).read_bytes())
        schema = content["schema"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, "it is not what was written") from error
    if schema != SCHEMA:
        message = f'The run in "{folder}" has the schema "{schema}".'
        raise RunDamagedError(message, f'This version reads "{SCHEMA}": update cellferry.')
    given = content.get(SUM)
    if (given is not None or content.get("sealed")) and given != content_sum(content, _UNSUMMED):
        raise _damaged(folder, "it is not what was written")
    for name, kind in _MEMBERS.items():
        if not isinstance(content.get(name), kind):
            raise _damaged(folder, f'it has no "{name}"')
    if content["status"] not in STATUSES:
        raise _damaged(folder, "it has no valid status")
    content.setdefault("remote_job_id", None)
    return dict(content)


def _damaged(folder: Path, why: str) -> RunDamagedError:
    message = f'The record of the run in "{folder}" cannot be read: {why} (run.json).'
    hint = (
        "Its journal.jsonl may still have results: annotate the same input again under the same "
        "name of the files, and they are used."
    )
    return RunDamagedError(message, hint, folder=str(folder))


def _not_written(folder: Path, error: OSError) -> OutputError:
    message = f'The folder of the run, "{folder}", cannot be written: {error.strerror or error}.'
    return OutputError(message, "Make room, choose another place, or set CELLFERRY_HOME.")


def _outputs_of(folder: Path) -> dict[str, str]:
    """Return the outputs of an earlier run of the folder: they stay this run's to replace."""
    try:
        found = _record_of(folder)["outputs"] if (folder / RECORD).exists() else {}
    except RunDamagedError:
        return {}
    return {str(k): str(v) for k, v in found.items()}
