"""Whether the confidence is true: ``python -m benchmarks.accuracy.reliability``.

Answers to labelled clusters, whole and cut, and to published lists, without the lines of knowledge
that a study prompted. The reliability curve is drawn in bins of equally many answers, with the
band in which nine of ten curves of an engine of this size lie that is perfectly calibrated: each of
its answers is right with the probability that it states. The Brier score is split as by Murphy
(1973): reliability (less is better), resolution (more is better), uncertainty of the answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .compare import VARIANTS, Answer, each_left_out
from .datasets import datasets
from .picture import draw_with_band

BINS = 8
DRAWS = 2000
BAND = (0.05, 0.95)
FORMS = ("full table", "best 50", "best 20", "best 10")
PICTURE = Path(__file__).resolve().parents[2] / "man" / "figures" / "reliability.svg"


@dataclass(frozen=True)
class Bin:
    """Answers of about one confidence: what is stated, the share that is right, the band."""

    answers: int
    stated: float
    right: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether a perfectly calibrated engine would often be there."""
        return self.low <= self.right <= self.high


def bins_of(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    """Return bins of equally many answers, with the band of a perfectly calibrated engine.

    Answers of one confidence are in one bin.
    """
    rng = np.random.default_rng(1)
    order = np.argsort(sure, kind="stable")
    cuts = np.quantile(sure, np.linspace(0, 1, BINS + 1)[1:-1])
    which = np.searchsorted(np.unique(cuts), sure[order], side="left")
    found = []
    for b in np.unique(which):
        mine = order[which == b]
        drawn = (rng.random((DRAWS, len(mine))) < sure[mine]).mean(axis=1)
        low, high = np.quantile(drawn, BAND)
        found.append(Bin(len(mine), float(sure[mine].mean()), float(right[mine].mean()), low, high))
    return found


def murphy(bins: Sequence[Bin]) -> tuple[float, float, float]:
    """Return reliability, resolution, uncertainty; Brier is the first - the second + the last."""
    n = np.array([b.answers for b in bins], dtype=np.float64)
    stated, right = (np.array([getattr(b, k) for b in bins]) for k in ("stated", "right"))
    base = float((n * right).sum() / n.sum())
    reliability = float((n * (stated - right) ** 2).sum() / n.sum())
    resolution = float((n * (right - base) ** 2).sum() / n.sum())
    return reliability, resolution, base * (1 - base)


def curve(name: str, answers: Sequence[Answer]) -> list[Bin]:
    """Print what was stated beside what was right, and return it; Unknown states nothing."""
    named = [a for a in answers if a.outcome != "none"]
    sure = np.array([a.sure for a in named])
    right = np.array([a.outcome != "wrong" for a in named])
    bins = bins_of(sure, right)
    reliability, resolution, uncertainty = murphy(bins)
    print(f"\n{name}: {len(named)} answers, {100 * right.mean():.1f} % right")
    print("  answers  stated   right   band of 90 %")
    for b in bins:
        mark = "" if b.inside else "  outside"
        print(
            f"  {b.answers:>7}{b.stated:>8.2f}{b.right:>8.2f}   {b.low:.2f} to {b.high:.2f}{mark}"
        )
    print(
        f"  Brier {np.mean((sure - right) ** 2):.4f}, reliability {reliability:.4f}, "
        f"resolution {resolution:.4f}, uncertainty {uncertainty:.4f}"
    )
    print(f"  {sum(b.inside for b in bins)} of {len(bins)} bins in the band")
    return bins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    data = list(datasets())
    clusters = [d for d in data if d.kind in {"clusters", "labelled tables"}]
    rows = {
        form: [a for d in clusters for a in each_left_out(VARIANTS[form](d), clusters)]
        for form in FORMS
    }
    rows["published lists"] = [
        a for d in data if d.kind == "published lists" for a in each_left_out(d, data)
    ]
    every = {
        "clusters, whole and cut": [a for f in FORMS for a in rows[f]],
        "published lists": rows["published lists"],
    }
    curves = {}
    for name, found in every.items():
        curves[name] = curve(name, found)
    draw_with_band(curves, options.picture)


if __name__ == "__main__":
    main()
