"""A real `cellferry serve` process for tests, and what its clients send."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from paths import PACKAGE, SUPPORT

MARKERS = {
    "0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1", "CD22", "TCL1A"],
    "1": ["CD3D", "CD3E", "IL7R", "CD2", "TRAC", "CD3G", "LTB"],
    "2": ["LYZ", "S100A8", "S100A9", "CD14", "FCN1", "VCAN", "CST3"],
}
PLUGGED = """
import sys
if "cellferry.server.jobs.isolated" in sys.orig_argv:
    exec({plug!r})
"""


class ServerProcess:
    """`cellferry serve` on a free port; ``kill`` is kill -9, ``stop`` a polite end."""

    def __init__(self, data, *options, plug="", environment=None):
        self.data = Path(data)
        self._arguments = ["serve", "--data", str(data), "--port", "0", *options]
        self._script = f"{plug}\nfrom cellferry.cli import main\nmain()"
        paths = [str(PACKAGE), str(SUPPORT)]
        if plug:
            # What is plugged into the server is plugged into the processes of its jobs.
            site = self.data.with_name(self.data.name + ".site")
            site.mkdir(parents=True, exist_ok=True)
            (site / "sitecustomize.py").write_text(PLUGGED.format(plug=plug), encoding="utf-8")
            paths.insert(0, str(site))
        self._environment = {
            **{k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"},
            "PYTHONPATH": os.pathsep.join(paths),
            **(environment or {}),
        }
        self.log = self.data.with_name(self.data.name + ".log")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self._script, *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                text=True,
            )
        line = self.process.stdout.readline()
        assert " at http" in line, self.log.read_text()
        self.url = line.split()[-1]
        self.client = httpx.Client(base_url=self.url, timeout=60)
        assert self.client.get("/health").status_code == 200
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self._ended()

    def _ended(self):
        self.process.wait(timeout=20)
        self.process.stdout.close()
        self.client.close()

    def restart(self):
        self.kill()
        return self.start()

    def wait_for(self, job, state="completed", seconds=60):
        """Return the status of a job once it has a state."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self.client.get(f"/status/{job}").json()
            if status["jobStatus"] == state:
                return status
            assert status["jobStatus"] != "failed", status
            time.sleep(0.02)
        raise AssertionError(status)

    def memory_bytes(self):
        """Return the most memory that the process ever used (Linux)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(text.split("VmHWM:")[1].split()[0])


def submission(markers=None, **parts):
    """Return a body of /annotate; ``parts`` replace those of input_data or of the envelope."""
    markers = MARKERS if markers is None else markers
    body = {
        "input_data": {
            "studyInfo": "blood",
            "infoTags": {"tissue": "blood"},
            "clusterLabels": {name: f"cluster {name}" for name in markers},
            "clusterMetadata": {},
            "markerGenes": markers,
            "visualizationData": None,
            "expressionData": {},
            "nParallelClusters": 2,
        },
        "llm_configs": None,
    }
    for name, value in parts.items():
        known = name in {"llm_configs", "uploaded_files", "visibility"}
        (body if known else body["input_data"])[name] = value
    return body


def submit(server, markers=None, headers=None, **parts):
    """Submit a job and return its id."""
    answer = server.client.post("/annotate", json=submission(markers, **parts), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["job_id"]


def upload(server, kind, content, *, size=None, complete=True):
    """Upload bytes as the published clients do; returns the id, or the failed answer."""
    begun = server.client.post(
        f"/upload/{kind}/initiate", json={"file_size_bytes": len(content) if size is None else size}
    )
    assert begun.status_code == 200, begun.text
    identifier, step = begun.json()["upload_id"], begun.json()["chunk_size_bytes"]
    for i, start in enumerate(range(0, len(content), step)):
        answer = put_chunk(server, identifier, i, content[start : start + step])
        assert answer.status_code == 200, answer.text
    if not complete:
        return identifier
    answer = server.client.post(f"/upload/{identifier}/complete")
    return identifier if answer.status_code == 200 else answer


def put_chunk(server, identifier, position, content):
    return server.client.put(
        f"/upload/{identifier}/chunk/{position}",
        content=content,
        headers={"Content-Type": "application/octet-stream"},
    )


def code(answer):
    """Return the error code of a failed answer."""
    return answer.json()["detail"]["error_code"]
