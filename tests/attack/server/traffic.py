"""Clients of a server for attacks: jobs, queries, and a watch on how fast /status answers."""

import json
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

from server_process import MARKERS, submission


def body(n_genes=2000, n_clusters=20, seed=1):
    """Return a job as real objects make it: every gene in every cluster."""
    draw = random.Random(seed)
    names = [str(i) for i in range(n_clusters)]
    known = [*MARKERS.values()]
    genes = [f"GENE{i}" for i in range(n_genes - sum(map(len, known)))]
    genes += [gene for of_cluster in known for gene in of_cluster]
    markers = {n: known[i % 3] + draw.sample(genes, 43) for i, n in enumerate(names)}
    expression = {g: {n: round(100 * draw.random(), 2) for n in names} for g in genes}
    return json.dumps(submission(markers, expressionData=expression)).encode()


JSON = {"Content-Type": "application/json"}


def connected(server, timeout=30):
    """Return a raw connection to a server."""
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def received(connection, seconds):
    """Return what comes until the other end closes, or until the time is over."""
    connection.settimeout(seconds)
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except (TimeoutError, ConnectionError):
        pass
    return found


class Watch:
    """Asks for the status of a job all the time, as a client that waits does; see ``watch``."""

    def __init__(self, server, job, pause=0.05):
        self._arguments = [f"{server.url}/status/{job}", str(pause)]
        self.seconds, self.late, self.failures = [], [], []

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.server.watch", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[3],
        )

    def stop(self):
        found = json.loads(self._process.communicate(timeout=120)[0])
        self.seconds, self.late, self.failures = found.values()

    def quantile(self, q, values=None):
        """Return a quantile of the seconds that answers took, or of others."""
        ordered = sorted(self.seconds if values is None else values)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("inf")


def finished(server, jobs, seconds=600):
    """Wait for jobs; return job -> how it ended."""
    end, found = time.monotonic() + seconds, {}
    while len(found) < len(jobs) and time.monotonic() < end:
        for job in jobs:
            if job in found:
                continue
            state = server.client.get(f"/status/{job}").json()["jobStatus"]
            if state in {"completed", "failed", "credentials_required"}:
                found[job] = state
        time.sleep(0.25)
    return found


def labels(server, job):
    """Return cluster -> label of a completed job."""
    results = server.client.get(f"/results/{job}").json()["annotations"]
    return {c: a["latest"]["annotation"]["annotation"] for c, a in results.items()}
