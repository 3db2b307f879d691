"""JSON with a checksum: what was damaged on the disk is noticed, and never read as an answer.

The checksum is the last member of the object and covers every byte before it. What an older
version wrote has none and is read as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ..files import Json

SUM = "sum"
_SEAL = re.compile(rb'(?:, )?"sum": "([0-9a-f]{32})"\}\s*\Z')
_LONGEST = 64
"""Bytes at the end in which the seal is."""


def sealed(content: Mapping[str, Json], *, compact: bool = False) -> bytes:
    """Return an object as one line of JSON that ends with its checksum.

    Parameters
    ----------
    content
        What JSON can say.
    compact
        Without blanks, by a quicker writer: for tables of many numbers, all of them finite.

    Examples
    --------
    >>> sealed({"a": 1})
    b'{"a": 1, "sum": "795efb8f8bdc87cd47c4172660bae252"}'
    """
    unsealed_content = {k: v for k, v in content.items() if k != SUM}
    raw = (_compact(unsealed_content) if compact else None) or _plain(unsealed_content)
    raw = raw[:-1]
    comma = b"" if raw == b"{" else b", "
    return raw + comma + f'"{SUM}": "{_digest(raw)}"}}'.encode()


def _plain(content: Mapping[str, Json]) -> bytes:
    # A lone surrogate is in no UTF-8: it is written as JSON escapes it.
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _compact(content: Mapping[str, Json]) -> bytes | None:
    """Return the text without blanks; None where it holds what the quick writer refuses."""
    import orjson

    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:  # a lone surrogate, a whole number of more than 64 bits
        return None


def unsealed(raw: bytes) -> tuple[dict[str, Any], bool]:
    """Return an object without its checksum, and whether it had one.

    Raises
    ------
    ValueError
        It is no JSON object, or not the one that was written.

    Examples
    --------
    >>> unsealed(sealed({"a": 1})), unsealed(b'{"a": 1}')
    (({'a': 1}, True), ({'a': 1}, False))
    """
    found = _SEAL.search(raw, max(0, len(raw) - _LONGEST))
    if found is not None and _digest(raw[: found.start()]).encode() != found[1]:
        message = "The checksum is that of other content."
        raise ValueError(message)
    try:
        content = json.loads(raw)
    except RecursionError as error:
        message = "It is nested too deeply."
        raise ValueError(message) from error
    if not isinstance(content, dict):
        message = "It is no object."
        raise ValueError(message)
    given = content.pop(SUM, None)
    if given is not None and found is None:
        message = "The checksum is not where it was written."
        raise ValueError(message)
    return content, found is not None


def content_sum(content: Mapping[str, Any], without: frozenset[str]) -> str:
    """Return the checksum of an object whatever the order and the blanks of its text.

    Parameters
    ----------
    content
        What JSON can say.
    without
        Members that may change without it.
    """
    plain = {k: v for k, v in content.items() if k not in without}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return _digest(text.encode("utf-8", "backslashreplace"))


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:32]
