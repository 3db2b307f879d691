"""Clients of a server for attacks: jobs, queries, and a watch on how fast /status answers."""

import json
import random
import socket
import threading
import time

import httpx

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


class Watch(threading.Thread):
    """Asks for the status of a job all the time, as a client that waits does."""

    def __init__(self, server, job, pause=0.05):
        super().__init__(daemon=True)
        self.url, self.pause = f"{server.url}/status/{job}", pause
        self.seconds, self.failures = [], []
        self._end = threading.Event()

    def run(self):
        with httpx.Client(timeout=60) as client:
            while not self._end.wait(self.pause):
                begun = time.perf_counter()
                try:
                    answer = client.get(self.url)
                    if answer.status_code != 200:
                        self.failures.append(answer.text)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                self.seconds.append(time.perf_counter() - begun)

    def stop(self):
        self._end.set()
        self.join(timeout=70)
        return self

    def quantile(self, q):
        """Return a quantile of the seconds that answers took."""
        ordered = sorted(self.seconds)
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
