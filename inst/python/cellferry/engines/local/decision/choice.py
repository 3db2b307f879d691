"""What is decided for one cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What was decided, as rows of the profiles.

    ``label`` is None for Unknown; ``begun`` is where the evidence was best.
    ``margin`` is what the label is ahead of ``rival``, 0 to 1 (see :func:`.rivals.closest_rival`).
    ``seen`` is how little chance would give as many markers of it (:func:`.seen.surprise`),
    ``explained`` the part of the best markers that are of it (:func:`.seen.explained`),
    ``doubted`` what it does not explain takes from the confidence (:func:`.mixture.doubt`).
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
    seen: float = 0.0
    explained: float = 1.0
    doubted: float = 0.0
