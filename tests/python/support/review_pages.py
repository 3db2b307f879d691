"""A live page over real HTTP for tests: what a browser sends."""

import base64
import http.client
import http.server
import json
import re
import threading
from urllib.parse import urlsplit

import numpy as np


class PageClient:
    """Asks the live page of an address; every answer is status, headers and body."""

    def __init__(self, address):
        self.address = address
        self._parts = urlsplit(address)

    def ask(self, path="", body=None, method=None, **headers):
        connection = http.client.HTTPConnection(self._parts.hostname, self._parts.port, timeout=30)
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if content is not None:
                sent.setdefault("Content-Type", "application/json")
            where = path if path.startswith("/") else self._parts.path + path
            connection.request(
                method or ("GET" if content is None else "POST"), where, content, sent
            )
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def block(self, name):
        status, headers, body = self.ask(f"data/{name}")
        assert (status, headers["content-type"]) == (200, "application/octet-stream"), body
        return body

    def json(self, path, body=None):
        status, _, content = self.ask(path, body)
        assert status == 200, content
        return json.loads(content)

    def refused(self, path, body):
        status, _, content = self.ask(path, body)
        return status, json.loads(content)["message"]

    def decide(self, **wish):
        return self.json("data/decisions", {"decisions": [wish]})["decisions"]

    def index(self):
        return index_of(self.ask()[2].decode())


def index_of(page):
    return json.loads(re.search(r'id="page-index"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def mask(positions, n):
    """Return positions of cells as the page sends them."""
    chosen = np.zeros(n, bool)
    chosen[positions] = True
    return base64.b64encode(np.packbits(chosen, bitorder="little")).decode()


def values_of(block):
    """Return the values of a gene or feature as the page reads them."""
    top = np.frombuffer(block[:4], "<f4")[0]
    return top * np.frombuffer(block[4:], np.uint8) / 255


class Proxy:
    """A proxy of another origin that puts a path before that of the page, as RStudio Server does.

    Its own page, at ``/``, shows the live page in a frame.
    """

    def __init__(self, address):
        parts = urlsplit(address)
        frame = f"/p/0a1b2c{parts.path}"
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/":
                    self._answer(200, [("Content-Type", "text/html")], FRAME % frame.encode())
                    return
                if not self.path.startswith("/p/0a1b2c/"):
                    self._answer(200 if self.path == "/favicon.ico" else 404, [], b"")
                    return
                seen.append(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                kept = {"Content-Type", "Origin", "Accept"}
                sent = {k: v for k, v in self.headers.items() if k in kept}
                connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
                path = self.path.removeprefix("/p/0a1b2c")
                connection.request(self.command, path, self.rfile.read(size), sent)
                answer = connection.getresponse()
                content = answer.read()
                left = {"connection", "transfer-encoding", "content-length"}
                headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in left]
                self._answer(answer.status, headers, content)
                connection.close()

            do_POST = do_GET

            def _answer(self, status, headers, content):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.address = f"{self.origin}{frame}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


FRAME = b'<!DOCTYPE html><title>viewer</title><iframe src="%s" width="900" height="600"></iframe>'
