"""Reads what a page was given out of its file."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np


class Given:
    """The index and the blocks of a file."""

    def __init__(self, path):
        self.text = Path(path).read_text(encoding="utf-8")
        found = re.search(r'id="page-index">(.*?)</script>', self.text, re.DOTALL)
        self.index = json.loads(found[1])
        pairs = re.findall(r'data-block="([^"]*)">([^<]*)<', self.text)
        self.packed = dict(pairs)

    def block(self, name):
        return gzip.decompress(base64.b64decode(self.packed[name]))

    @property
    def genes(self):
        return self.block("genes").decode().split("\n")

    def summary(self):
        """Return genes x rows: shares and means."""
        n, rows = self.index["genes"]["n"], len(self.index["rows"])
        values = np.frombuffer(self.block("summary"), np.uint8).reshape(2, n, rows)
        least, most = self.index["genes"]["least"], self.index["genes"]["most"]
        step = np.log(most / least) / 254
        codes = values[1].astype(float)
        return values[0] / 255, np.where(codes == 0, 0, least * np.exp(step * (codes - 1)))
