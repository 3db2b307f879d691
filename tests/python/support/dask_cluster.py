"""A real cluster of dask: a scheduler and workers, processes of their own that speak over TCP."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cellferry.runs.run import Run
from paths import PACKAGE

SUPPORT = Path(__file__).parent
MEMORY = "1500MB"


def needs_distributed():
    pytest.importorskip("distributed")


class Cluster:
    """Begins processes in ``folder``; each is a group of its own, and ended at the end."""

    def __init__(self, folder, workers=1):
        self.folder = folder
        self.processes = []
        try:
            self._start(workers)
        except BaseException:
            self.__exit__()
            raise

    def _start(self, workers):
        file = self.folder / "scheduler.json"
        self.scheduler = self._begin(
            "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard",
            "--scheduler-file", str(file),
        )  # fmt: skip
        until = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)
        import json

        self.address = json.loads(file.read_text())["address"]
        self.workers = [self.worker() for _ in range(workers)]
        if workers:
            self.wait_for(workers)

    def worker(self, path=PACKAGE, before=()):
        return self._begin(
            "worker", self.address, "--nthreads", "1", "--memory-limit", MEMORY, "--no-dashboard",
            "--local-directory", str(self.folder / "scratch"), path=path, before=before,
        )  # fmt: skip

    def _begin(self, *arguments, path=PACKAGE, before=()):
        clean = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
        log = (self.folder / f"{arguments[0]}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "dask", *arguments],
            env={**clean, "PYTHONPATH": f"{path}{os.pathsep}{SUPPORT}"},
            cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        self.processes.append(process)
        return process

    def wait_for(self, workers):
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=90)

    def log(self):
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def kill(self, process):
        """End a process and those it began, as kill -9 does."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @contextmanager
    def lost_after(self, n):
        """Kill the scheduler when a run has ``n`` finished units."""
        record = Run.record

        def then_kill(run, unit, key, payload):
            record(run, unit, key, payload)
            if len(run.finished()) == n:
                self.kill(self.scheduler)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "record", then_kill)
            yield

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            self.kill(process)
