"""A live page over real HTTP for tests: what a browser sends."""

import base64
import http.client
import json
import re
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
