"""One job in a process of its own: ``python -m cellferry.server.jobs.isolated``.

A server that ended while it worked on a job says nothing about the job: somebody may have killed
the server, or another job did. A job under which several servers ended is therefore worked on in
another process. If that ends and the server does not, it was the job.

On standard input a line of JSON (what is to be done, with the keys); on standard output a line per
event, and one with the answer. The server is its only client and would do the same itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
from pydantic.alias_generators import to_camel

from ...errors import CellferryError, RunLockedError, counted
from ...runs.worker import Event
from ..failures import Code, Failure
from ..lookup.process import Readers
from ..processes import Helper, limit_to
from .engines import engine_of
from .evidence import Evidence
from .llm_configs import LLMConfig
from .payload import JobInput
from .recovery import journalled
from .remarks import remarks_of
from .work import answer

MODULE = "cellferry.server.jobs.isolated"
MOST_ENDS = 3
"""How often the process of a job may end without a further answer."""

PATIENCE_SECONDS = 10.0
"""How long a process waits for that of an earlier server to let go of the run."""

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be done for a job.

    Attributes
    ----------
    folder
        The job's own.
    artifacts
        Kind -> file of its uploads.
    parallel
        Clusters at once.
    configs
        Language models with keys; none for the embedded engine.
    """

    folder: Path
    artifacts: Mapping[str, Path]
    parallel: int
    configs: Sequence[LLMConfig] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    states
        Cluster -> completed or failed.
    reasons
        Why clusters failed, each once.
    """

    states: dict[str, str]
    reasons: list[str]


def work_on(task: Task, readers: Readers, on_event: OnEvent) -> Outcome:
    """Answer a job in this process.

    Parameters
    ----------
    task
        The job.
    readers
        The processes that read files of clients.
    on_event
        Called in this thread; may raise to stop.
    """
    job = JobInput.load(task.folder)
    evidence = Evidence(readers, task.artifacts, job)
    engine = engine_of(task.configs, task.parallel, evidence, remarks_of(task.folder))
    found = answer(job, engine, evidence, task.folder, parallel=task.parallel, on_event=on_event)
    return Outcome(
        {row.cluster: "failed" if row.label is None else "completed" for row in found},
        [*dict.fromkeys(row.error or "" for row in found)],
    )


class Isolation:
    """The jobs of a server that are worked on in processes of their own."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._running: set[Helper] = set()
        self._closed = False

    def work_on(self, task: Task, on_event: OnEvent) -> Outcome:
        """Answer a job in a process of its own.

        Parameters
        ----------
        task
            The job.
        on_event
            Called in this thread; may raise to stop.

        Raises
        ------
        Failure
            Its process ended :data:`MOST_ENDS` times without a further answer.
        CellferryError, Failure
            As the work itself.
        """
        known, ends = len(journalled(task.folder)), 0
        while ends < MOST_ENDS:
            on_event(Event("message"))
            found, exit_code = self._once(task, on_event)
            # After the end of a server its processes end too, and it was not the job.
            on_event(Event("message"))
            if found is not None:
                return _outcome(found)
            before, known = known, len(journalled(task.folder))
            ends = 1 if known > before else ends + 1
        message = (
            f"The job ended the process that worked on it alone {counted(MOST_ENDS, 'time')}, the "
            f"last time with the exit code {exit_code}, and is given up. It may need more memory "
            "than the server has: send fewer clusters or genes in one job."
        )
        raise Failure(Code.JOB_FAILED, message)

    def _once(self, task: Task, on_event: OnEvent) -> tuple[dict[str, Any] | None, int | None]:
        def talk(to: IO[bytes], back: IO[bytes]) -> dict[str, Any] | None:
            to.write(_request(task) + b"\n")
            to.flush()
            for line in iter(back.readline, b""):
                sent: dict[str, Any] = orjson.loads(line)
                if "kind" not in sent:
                    return sent
                on_event(Event(sent["kind"], unit=sent["unit"]))
            return None

        helper = Helper(MODULE, environment=os.environ)
        with self._mutex:
            self._running.add(helper)
            closed = self._closed
        try:
            found = None if closed else helper.exchange(talk, None)
            return found, None if found else helper.exit_code()
        finally:
            with self._mutex:
                self._running.discard(helper)
            helper.end()

    def close(self) -> None:
        """End all processes; their jobs are unfinished."""
        with self._mutex:
            self._closed = True
            for helper in self._running:
                helper.kill()


def _request(task: Task) -> bytes:
    # The one place where keys leave this process: to one that we started, by a pipe.
    configs = [
        {**c.to_wire(), to_camel("target_agents"): [*c.target_agents]}
        if c.target_agents
        else c.to_wire()
        for c in task.configs
    ]
    content = {
        "folder": str(task.folder),
        "artifacts": {kind: str(path) for kind, path in task.artifacts.items()},
        "parallel": task.parallel,
        "configs": configs,
    }
    return orjson.dumps(content)


def _task(request: bytes) -> Task:
    content = orjson.loads(request)
    return Task(
        Path(content["folder"]),
        {kind: Path(path) for kind, path in content["artifacts"].items()},
        content["parallel"],
        [LLMConfig.model_validate(config) for config in content["configs"]],
    )


def _outcome(sent: Mapping[str, Any]) -> Outcome:
    if "trace" in sent:
        raise RuntimeError(sent["trace"])
    if "error" in sent:
        raise Failure(Code.JOB_FAILED, sent["error"])
    return Outcome(sent["states"], sent["reasons"])


def _done(task: Task, say: Callable[[Mapping[str, object]], None]) -> dict[str, object]:
    """Return the last line: states and reasons, or what is wrong."""
    readers = Readers()
    try:
        found = _patiently(
            lambda: work_on(task, readers, lambda e: say({"kind": e.kind, "unit": e.unit}))
        )
    except (CellferryError, Failure) as error:
        return {"error": error.message}
    except Exception:
        return {"trace": traceback.format_exc()}
    finally:
        readers.close()
    return {"states": found.states, "reasons": found.reasons}


def _patiently(work: Callable[[], Outcome]) -> Outcome:
    """Wait for the process of an earlier server, which ends a moment after that."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return work()
        except RunLockedError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.1)


def _end_with_the_server() -> None:
    # Not by sys.stdin, whose lock this thread would hold at the end of the interpreter.
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> None:
    """Do one job, and end when standard input does."""
    # Where memory is short, the system shall end this process, not the server.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with contextlib.suppress(ImportError):  # Windows
        import resource

        limit_to(resource.RLIMIT_CORE, 0)
    # What a library prints is no line of ours.
    lines, sys.stdout = sys.stdout.buffer, sys.stderr
    mutex = threading.Lock()

    def say(content: Mapping[str, object]) -> None:
        with mutex:
            lines.write(orjson.dumps(content) + b"\n")
            lines.flush()

    task = _task(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    say(_done(task, say))


if __name__ == "__main__":
    main()
