"""A unit of work, and the job that units share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...files import Json
from .remote import versions

PARTS = 32
"""Parts into which work is cut that is large enough for them."""


@dataclass(frozen=True)
class Unit:
    """A part of the work.

    Attributes
    ----------
    name
        What it is, for people: ``"cells 1 to 16,384"``.
    arguments
        What the function gets after the job; plain data.
    size
        What it adds to the progress.
    """

    name: str
    arguments: tuple[Json, ...]
    size: int = 1


@dataclass(frozen=True)
class Job:
    """What all units of a call share.

    Attributes
    ----------
    function
        ``module:name``; called by workers with ``content`` and the arguments of a unit. It returns
        a mapping of names to arrays.
    content
        Plain data. All of it determines the results, but paths: those are in ``where``.
    where
        Plain data that says where things are, and may differ when the run is resumed.
    check
        ``module:name`` of what raises where a worker cannot do it; called with ``where`` before
        anything is sent, on each worker there is.
    """

    function: str
    content: Mapping[str, Json]
    where: Mapping[str, Json] = field(default_factory=dict)
    check: str | None = None

    def key(self, unit: Unit) -> str:
        """Return the hash of all that determines the result of a unit."""
        text = json.dumps([versions(), self.function, self.content, unit.arguments], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def even_length(n: int, least: int, most: int) -> int:
    """Return how long the parts are into which a length is cut: a function of the length alone.

    There are about :data:`PARTS`, so that several workers end at about the same time, unless they
    would be shorter than ``least``, where what each part costs by itself weighs too much, or longer
    than ``most``, what a worker has the memory for.

    Parameters
    ----------
    n
        What is cut.
    least, most
        Bounds of a part; ``most`` holds.

    Examples
    --------
    >>> even_length(62_500, 2_048, 8_192), even_length(2_000_000, 2_048, 8_192)
    (2048, 8192)
    """
    return min(most, max(least, -(-n // PARTS)))
