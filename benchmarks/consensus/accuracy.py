"""Whether a consensus helps: of the embedded engine and three counting methods, beside each alone.

``python -W ignore -m benchmarks.consensus.accuracy`` prints shares of labelled clusters with
95 % intervals (Wilson 1927), and how often a consensus is better and worse than the best alone.
All four read the same knowledge, so they are not independent as engines of different makers are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from scipy.sparse import csr_array

from benchmarks.accuracy.__main__ import METHODS
from benchmarks.accuracy.datasets import datasets
from benchmarks.accuracy.measures import Outcome
from cellferry.annotations.agreement.rule import answers

VOTERS = ("local, object", "overlap count", "hypergeometric", "ScType's score")
MEASURES = ("full", "compatible", "lineage")


def agreed(of_methods: Sequence[Outcome]) -> Outcome:
    """Return the consensus of the answers for one group."""
    terms = sorted({o.found for o in of_methods if o.found is not None})
    first = of_methods[0]
    if not terms:
        return replace(first, found=None, confidence=None)
    votes = {
        str(i): csr_array([[float(o.found == t) for t in terms]]) for i, o in enumerate(of_methods)
    }
    found = answers(terms, votes)
    sure = float(found.agreement[0])
    return replace(first, found=found.answer[0], confidence=None if math.isnan(sure) else sure)


def interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, by Wilson's formula."""
    z, p = 1.959964, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def line(name: str, rows: Sequence[Outcome]) -> str:
    """Return one line of the table."""
    n = len(rows)
    cells = []
    for measure in MEASURES:
        hits = sum(bool(getattr(o, measure)) for o in rows)
        low, high = interval(hits, n)
        cells.append(f"{hits / n:5.0%} [{low:3.0%}, {high:4.0%}]")
    wrong = sum(o.found is not None and not o.lineage for o in rows)
    none = sum(o.found is None for o in rows)
    return f"{name:24}{'  '.join(cells)}  wrong {wrong / n:4.0%}  no answer {none / n:4.0%}"


def main() -> None:
    """Measure and print."""
    parts: dict[str, dict[str, list[Outcome]]] = {}
    for dataset in datasets():
        part = parts.setdefault(f"{dataset.kind}, {dataset.use}", {})
        by_group: dict[str, list[Outcome]] = {}
        for method in VOTERS:
            for outcome in METHODS[method](dataset):
                part.setdefault(method, []).append(outcome)
                by_group.setdefault(outcome.group, []).append(outcome)
        complete = [of for of in by_group.values() if len(of) == len(VOTERS)]
        part.setdefault("consensus of four", []).extend(map(agreed, complete))
        three = [of[1:] for of in complete]
        part.setdefault("consensus of counting", []).extend(map(agreed, three))
    for name, methods in parts.items():
        print(f"\n{name}, {len(methods[VOTERS[0]])} groups")
        for method, rows in methods.items():
            print(line(method, rows))
        alone = {(o.dataset, o.group): o for o in methods[VOTERS[0]]}
        for both in ("full", "compatible", "lineage"):
            better = worse = 0
            for o in methods["consensus of four"]:
                one, other = getattr(o, both), getattr(alone[o.dataset, o.group], both)
                better, worse = better + (one and not other), worse + (other and not one)
            print(f"  {both}: better than the engine alone in {better}, worse in {worse}")


if __name__ == "__main__":
    main()
