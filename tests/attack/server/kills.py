"""kill -9 of the server while jobs and uploads arrive: nothing that it accepted is lost."""

import tempfile
import threading
import time
from pathlib import Path

import httpx
from tests.attack.chance import Tally, chosen, times
from tests.attack.server.traffic import finished, labels

from server_files import write_vars_h5
from server_process import MARKERS, ServerProcess, put_chunk, submission

CLIENTS = 6
CHUNK = 1000


def rows(scale):
    draw, n_kills = chosen("server kills"), times(100, scale)
    kills = Tally("kill -9 of the server under jobs and uploads: it starts and answers again")
    with tempfile.TemporaryDirectory() as folder:
        content = write_vars_h5(Path(folder) / "v").read_bytes()
        server = ServerProcess(
            Path(folder) / "data", "--chunk-size", str(CHUNK), "--max-waiting", "100000"
        ).start()
        try:
            clients = Clients(server, content)
            for _ in range(n_kills):
                time.sleep(0.1 + 0.5 * draw.random())
                try:
                    server.restart()
                    kills.add(True)
                except Exception as error:
                    kills.add(False, repr(error))
            clients.stop()
            yield kills.row
            yield from clients.check(draw)
        finally:
            server.stop()


class Clients:
    """Clients that submit jobs and upload files, and remember what was confirmed."""

    def __init__(self, server, content):
        self.server, self.content = server, content
        self.jobs, self.chunks, self.uploads = {}, {}, []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._go_on, args=(self._job if i % 2 else self._upload, i))
            for i in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, work, number):
        done = 0
        while not self._stop.is_set():
            try:
                work(f"{number}-{done}")
                done += 1
            except (httpx.HTTPError, AssertionError, RuntimeError, KeyError, OSError, ValueError):
                time.sleep(0.05)

    def _job(self, key):
        markers = {key: MARKERS["0"], f"{key}b": MARKERS["1"]}
        answer = self.server.client.post(
            "/annotate", json=submission(markers), headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 200
        self.jobs[key] = answer.json()["job_id"]
        time.sleep(0.02)

    def _upload(self, _key):
        size = len(self.content)
        begun = self.server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": size})
        identifier = begun.json()["upload_id"]
        for i, start in enumerate(range(0, size, CHUNK)):
            while not self._stop.is_set():
                try:
                    sent = put_chunk(
                        self.server, identifier, i, self.content[start : start + CHUNK]
                    )
                    assert sent.status_code == 200, sent.text
                    self.chunks.setdefault(identifier, set()).add(i)
                    break
                except (httpx.HTTPError, AssertionError, RuntimeError):
                    time.sleep(0.05)
        answer = self.server.client.post(f"/upload/{identifier}/complete")
        assert answer.status_code == 200
        self.uploads.append(identifier)

    def check(self, draw):
        """Yield what became of what was confirmed."""
        jobs = Tally("... accepted jobs: none lost, each answered with its own labels")
        ended = finished(self.server, [*self.jobs.values()], 400)
        for key, job in self.jobs.items():
            found = labels(self.server, job) if ended.get(job) == "completed" else ended.get(job)
            jobs.add(found == {key: "B cell", f"{key}b": "T cell"}, found)
        yield jobs.row
        again = Tally("... the same request key: the same job")
        for key in draw.sample([*self.jobs], max(1, len(self.jobs) // 10)):
            before = self.jobs[key]
            self._job(key)
            again.add(self.jobs[key] == before, key)
        yield again.row
        chunks = Tally("... confirmed chunks and completed uploads: none lost")
        for identifier, confirmed in self.chunks.items():
            answer = self.server.client.get(f"/upload/{identifier}").json()
            missing = confirmed - {*answer.get("received_chunks", ())}
            chunks.add(not missing, f"{identifier}: {missing}")
        for identifier in self.uploads:
            state = self.server.client.get(f"/upload/{identifier}").json()
            stored = (self.server.data / "uploads" / identifier).read_bytes()
            chunks.add(state.get("state") == "complete" and stored == self.content, state)
        yield chunks.row
