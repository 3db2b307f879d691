"""What is decided for one cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What was decided, as rows of the profiles.

    ``label`` is None for Unknown; ``begun`` is where the evidence was best.
    ``margin`` is what the label is ahead of ``rival``, 0 to 1 (see :func:`.rivals.closest_rival`).
    ``few`` says that the answer is Unknown because the list is long and few of it are markers.
    """

    label: int | None
    begun: int | None
    fit: float
    margin: float
    confidence: float | None
    rival: int | None = None
    detail: int | None = None
    partner: int | None = None
    states: tuple[int, ...] = ()
    few: bool = False
