"""Signed addresses: chunks that are sent without a token, as object stores take them.

The signature says which chunk of which upload may be written until when, so that the address
alone is enough, and for nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files import PRIVATE, write_whole
from ..failures import Code, Failure, fail
from ..folder import KEY
from ..store import now

logger = logging.getLogger("cellferry.server")

SIGNED_PATH = "/part/"
KEY_BYTES = 32
MOST_SIGNED = 10_000
"""Parts of an upload at most, as in object stores; one with more goes the other way."""


class Signer:
    """Makes and checks signed addresses.

    Parameters
    ----------
    key
        Whoever has it can write into unfinished uploads of this server.

    Examples
    --------
    >>> Signer(b"k").path("u", 0, 2_000_000_000)[:41]
    '/part/u/0?expires=2000000000&signature=5a'
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, folder: Path) -> Signer:
        """Return the signer of a data folder; addresses stay good after a restart."""
        path = folder / KEY
        key = path.read_bytes() if path.is_file() else b""
        if len(key) < KEY_BYTES:
            # With an empty key, or a part of one, everybody could sign.
            if path.exists():
                logger.warning(
                    "The key in %s has %d bytes and not %d, so a new one is made: addresses that "
                    "were signed before are no longer good.", path, len(key), KEY_BYTES
                )  # fmt: skip
            key = secrets.token_bytes(KEY_BYTES)
            write_whole(path, key, mode=PRIVATE)
        return cls(key)

    def path(self, upload: str, position: int, expires: int) -> str:
        """Return path and query of the address of a chunk.

        Parameters
        ----------
        expires
            Seconds since 1970.
        """
        signature = self._signature(upload, str(position), str(expires))
        return f"{SIGNED_PATH}{upload}/{position}?expires={expires}&signature={signature}"

    def check(self, upload: str, position: str, query: Mapping[str, str]) -> None:
        """Raise :class:`Failure` unless the address was made here and is still good."""
        expires, signature = query.get("expires", ""), query.get("signature", "")
        wanted = self._signature(upload, position, expires)
        if not hmac.compare_digest(signature.encode(), wanted.encode()):
            raise Failure(Code.ACCESS_DENIED, "The address is not signed by this server.")
        if int(expires) < now():
            raise Failure(Code.ACCESS_DENIED, "The signed address has expired: begin again.")

    def _signature(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def etag(sha256: str) -> str:
    """Return the ETag of a chunk, in quotes as HTTP wants it."""
    return f'"{sha256}"'


def check_parts(parts: Sequence[tuple[int, str]], hashes: Mapping[int, str]) -> None:
    """Raise :class:`Failure` unless a client lists exactly the parts that are here.

    Parameters
    ----------
    hashes
        Position, counted from 0 -> SHA-256 of what is here.
    """
    if [number for number, _ in parts] != [i + 1 for i in sorted(hashes)]:
        fail(f"`parts` must list the {len(hashes)} parts of the file in their order.")
    for number, tag in parts:
        if tag != etag(hashes[number - 1]):
            fail(f"The ETag of part {number} is not that of what arrived.")
