"""The table of cells that panhumanpy makes, read by its documented format.

``full_hierarchical_labels`` is the path ``broad|...|final``; ``full_consistent_hierarchy`` says
whether the levels agree; ``azimuth_broad`` (or ``level_zero_labels``), ``azimuth_medium`` and
``azimuth_fine`` are labels of one granularity, ``"False"`` where there is none;
``final_level_labels`` is the deepest one, with ``final_level_confidence`` or, before 1.0,
``final_level_softmax_prob``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ServiceAnswerError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEVELS = ("fine", "medium", "broad", "final")
COLUMNS = {
    "fine": ("azimuth_fine",),
    "medium": ("azimuth_medium",),
    "broad": ("azimuth_broad", "level_zero_labels"),
    "final": ("final_level_labels",),
}
CONFIDENCES = ("final_level_confidence", "final_level_softmax_prob")
PATH, AGREES = "full_hierarchical_labels", "full_consistent_hierarchy"
NONE = frozenset({"", "False", "None", "NA", "nan", "Not Confidently Annotated"})
"""What stands in the place of a label."""


@dataclass(frozen=True, eq=False)
class Called:
    """What n cells were called.

    Attributes
    ----------
    labels
        Text; empty where there is none.
    confidence
        Between 0 and 1, NaN where there is none.
    unknown
        Cells without a label that counts.
    contradictory
        Those of them whose levels contradict each other.
    """

    labels: NDArray[np.str_]
    confidence: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    contradictory: NDArray[np.bool_]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its columns, as they are kept."""
        return {
            "labels": self.labels,
            "confidence": self.confidence,
            "unknown": self.unknown,
            "contradictory": self.contradictory,
        }

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Called:
        """Return what :meth:`arrays` gave."""
        return cls(**arrays)


def called(meta: pd.DataFrame, cells: Sequence[str], refinement: str) -> Called:
    """Read the table.

    Parameters
    ----------
    meta
        ``cells_meta`` of panhumanpy.
    cells
        Names of the cells that were asked, in order.
    refinement
        One of :data:`LEVELS`.

    Raises
    ------
    ServiceAnswerError
        It has other cells, lacks a column, or has a confidence that is none.
    """
    if [str(name) for name in meta.index] != list(cells):
        problem = "does not have the cells that it was given, in their order"
        raise _other(problem)
    label_column = next((c for c in COLUMNS[refinement] if c in meta.columns), None)
    sure_column = next((c for c in CONFIDENCES if c in meta.columns), None)
    lacking = [
        name
        for name, found in (
            (COLUMNS[refinement][0], label_column), (CONFIDENCES[0], sure_column),
            (PATH, PATH if PATH in meta.columns else None),
            (AGREES, AGREES if AGREES in meta.columns else None),
        )
        if found is None
    ]  # fmt: skip
    if lacking:
        problem = f"has no column {', '.join(lacking)}"
        raise _other(problem)
    labels = [_text(x) for x in meta[label_column]]
    final = [_text(x) for x in meta[COLUMNS["final"][0]]] if _has_final(meta) else labels
    paths = [[part for part in _text(x).split("|") if part] for x in meta[PATH]]
    sure = np.array([_number(x) for x in meta[sure_column]])
    if bool(np.any((sure < 0) | (sure > 1))):
        problem = f"has values of {sure_column} that are no probabilities"
        raise _other(problem)
    broad = next((c for c in COLUMNS["broad"] if c in meta.columns), None)
    tops = [""] * len(paths) if broad is None else [_text(x) for x in meta[broad]]
    contradictory = np.array([
        str(agrees) not in {"True", "1", "1.0"} or _contradicts(path, top, last)
        for agrees, path, top, last in zip(meta[AGREES], paths, tops, final, strict=True)
    ])  # fmt: skip
    unknown = contradictory | np.array([not x for x in labels])
    shown = [x or last for x, last in zip(labels, final, strict=True)]
    return Called(np.array(shown, dtype=np.str_), sure, unknown, contradictory)


def _contradicts(path: list[str], broad: str, final: str) -> bool:
    """Whether the broad label is not where the path begins, or the final one not where it ends."""
    if not path:
        return True
    return (bool(broad) and broad != path[0]) or (bool(final) and final != path[-1])


def _has_final(meta: pd.DataFrame) -> bool:
    return COLUMNS["final"][0] in meta.columns


def _text(value: object) -> str:
    text = "" if value is None else str(value).strip()
    return "" if text in NONE else text


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _other(what: str) -> ServiceAnswerError:
    message = f"The table of panhumanpy {what}; it is of another version, or damaged."
    return ServiceAnswerError(message, "cellferry reads that of panhumanpy 0.1 and 1.0.")
