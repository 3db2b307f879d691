"""Raw HTTP: lengths that lie, two lengths, pipelines, odd hosts and paths, deep nesting."""

import concurrent.futures
import json
import tempfile
import time
from pathlib import Path

import httpx
from tests.attack.chance import Tally, chosen, times
from tests.attack.server.traffic import connected, received

from server_process import ServerProcess, submission, submit

POST = "POST /annotate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = "GET /health HTTP/1.1\r\nHost: localhost\r\n"


def requests():
    """Return what -> bytes of each request."""
    job = json.dumps(submission())
    deep = "[" * 100_000
    found = {
        "a length that is too short": f"{POST}Content-Length: 5\r\n\r\n{job}",
        "a length that is too long": f"{POST}Content-Length: {len(job) + 9}\r\n\r\n{job}",
        "a length of 10**30": f"{POST}Content-Length: {10**30}\r\n\r\n{job}",
        "a negative length": f"{POST}Content-Length: -1\r\n\r\n{job}",
        "a length in words": f"{POST}Content-Length: many\r\n\r\n{job}",
        "two lengths": f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{job}",
        "a length and chunks": f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        "chunks twice": f"{POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "chunks of another kind": f"{POST}Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "a chunk of nonsense": f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "a chunk of 2**64": f"{POST}Transfer-Encoding: chunked\r\n\r\n{2**64:x}\r\n",
        "a body in chunks": f"{POST}Transfer-Encoding: chunked\r\n\r\n"
        f"{len(job):x}\r\n{job}\r\n0\r\n\r\n",
        "a pipeline": f"{GET}\r\n" * 20,
        "no host": "GET /health HTTP/1.1\r\n\r\n",
        "two hosts": f"{GET}Host: evil.org\r\n\r\n",
        "a header of 1 MB": f"{GET}X: {'x' * 1_000_000}\r\n\r\n",
        "10,000 headers": GET + "".join(f"X{i}: y\r\n" for i in range(10_000)) + "\r\n",
        "a header with NUL": f"{GET}X: a\x00b\r\n\r\n",
        "a folded header": f"{GET}X: a\r\n b\r\n\r\n",
        "no version": "GET /health\r\n\r\n",
        "version 9": "GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "only line ends": "\r\n" * 1000,
        "nesting of 100,000": f"{POST}Content-Length: {len(deep)}\r\n\r\n{deep}",
        "a websocket": f"{GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "expects 100": f"{POST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}",
        "another method": "BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a method of 10 kB": f"{'A' * 10_000} / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "an absolute address": "GET http://evil.org/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT": "CONNECT evil.org:443 HTTP/1.1\r\nHost: evil.org:443\r\n\r\n",
    }
    paths = ("/../../etc/passwd", "/results/..%2f..%2fserver.sqlite", "/report/%00", "//evil.org/",
             "/status/" + "a" * 5000, "/data/%2e%2e/counts", "/upload/../jobs", "/part/x/1?expires=a")  # fmt: skip
    for path in paths:
        found[path[:30]] = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for host in ("evil.org", "localhost.evil.org", "127.0.0.1.nip.io", "[::1", "a b", "10.0.0.1"):
        found[f"host {host}"] = f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n"
    for header in ("Origin: https://evil.org", "Sec-Fetch-Site: cross-site", "Origin: null"):
        found[header] = f"{POST}{header}\r\nContent-Length: {len(job)}\r\n\r\n{job}"
    return found


def rows(scale):
    draw = chosen("raw")
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder) / "data") as server:
        raw = Tally("raw HTTP: an answer below 500 or a closed connection, within 40 s")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sent = requests()
            for what, (seconds, found) in zip(
                sent, pool.map(lambda text: tried(server, text), sent.values()), strict=True
            ):
                fine = seconds < 40 and (not found or b" 5" not in found.split(b"\r\n")[0][8:10])
                raw.add(fine and is_up(server), f"{what}: {seconds:.0f} s, {found[:60]}")
        yield raw.row
        mutated = Tally("raw HTTP, changed at random: no 5xx, the server is up")
        texts = [*sent.values()]
        for _ in range(times(300, scale)):
            text = bytearray(draw.choice(texts)[:3000].encode("latin-1"))
            for _change in range(draw.randint(1, 8)):
                text[draw.randrange(len(text))] = draw.randrange(256)
            with connected(server) as connection:
                connection.sendall(text + b"\r\n\r\n")
                found = received(connection, 0.05)
            mutated.add(b"HTTP/1.1 50" not in found, found[:60])
        mutated.add(is_up(server), "it is down")
        yield mutated.row
        yield at_once(server, times(200, scale))


def tried(server, text):
    begun = time.monotonic()
    with connected(server) as connection:
        try:
            connection.sendall(text.encode("latin-1"))
            found = b""
            connection.settimeout(45)
            while b"\r\n\r\n" not in found and (piece := connection.recv(65536)):
                found += piece
        except ConnectionError:
            found = b""
        except TimeoutError:
            return 99.0, b""
    return time.monotonic() - begun, found


def is_up(server):
    return server.client.get("/health").status_code == 200


def at_once(server, n):
    tally = Tally("connections at once: all are answered")
    job = submit(server)

    def ask(_):
        try:
            return httpx.get(f"{server.url}/status/{job}", timeout=60).status_code
        except httpx.HTTPError as error:
            return repr(error)

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        for found in pool.map(ask, range(n)):
            tally.add(found == 200, found)
    return tally.row
