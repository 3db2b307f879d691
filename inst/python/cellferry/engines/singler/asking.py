"""How R is asked: trained with the reference, then given blocks of cells, each kept once done.

R is a function that takes the name of a step with plain data and arrays, and returns the same; the
bridge opens it (:func:`cellferry.study.inputs.readers.reader_of_r`). In a session of R it is called
in the thread that R called, elsewhere it is an Rscript child.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ModelError
from ...study.inputs.readers import reader_of_r
from ..models.units import Arrays, BlockUnit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...runs.run import Run
    from ...runs.worker import Events
    from ..models.values import LogNormalized
    from .reference import SingleRReference

Ask = Callable[[str, Mapping[str, Any], Mapping[str, "NDArray[np.generic]"]], Mapping[str, Any]]
"""Asks R: step, plain data, arrays -> what it answers."""

FOLDER = "singler"
ROWS = 2_000
"""Cells of a unit: R is done with them in some seconds, and can be interrupted there."""
MOST_BYTES = 2**31 - 1
"""An array that crosses to R is shorter."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What SingleR says of n cells.

    Attributes
    ----------
    codes
        The label of each cell, or -1 where it expresses none of the genes.
    scores
        n x K: of each label, before fine-tuning.
    pruned
        Whether SingleR prunes the label.
    version
        Of SingleR.
    """

    codes: NDArray[np.int32]
    scores: NDArray[np.float64]
    pruned: NDArray[np.bool_]
    version: str

    @property
    def best(self) -> NDArray[np.float64]:
        """The score of each cell's label, NaN where it has none."""
        there = self.codes >= 0
        found = np.full(len(self.codes), np.nan)
        found[there] = self.scores[there, self.codes[there]]
        return found


def open_r() -> AbstractContextManager[Ask]:
    """Return the R that is asked."""
    opened: AbstractContextManager[Ask] = reader_of_r("singler", "SingleR")()
    return opened


def check_installed(de_method: str | None) -> None:
    """Raise :class:`DependencyError` where there is no R with what SingleR needs.

    Parameters
    ----------
    de_method
        By which it finds genes; None where that is not known yet.
    """
    reader_of_r("singler", "SingleR")(check={"de_method": de_method})


def ask_of_blocks(
    reference: SingleRReference,
    read: tuple[LogNormalized, NDArray[np.intp], NDArray[np.intp]],
    run: Run,
    events: Events,
    *,
    options: Mapping[str, Any],
) -> Answered:
    """Return what SingleR says of all cells; blocks that the run has are not asked again.

    Parameters
    ----------
    reference
        What is learned from.
    read
        The values that are labelled, and the places of the shared genes in both.
    run, events
        Of the engine.
    options
        Of SingleR.
    """
    values, own, columns = read
    n, k = values.source.shape[0], len(reference.names)
    codes = np.full(n, -1, dtype=np.int32)
    scores, following = np.full((n, k), np.nan), np.full(n, np.nan)
    key = hashlib.sha256(
        json.dumps([reference.digest, own.tolist(), dict(options)], sort_keys=True).encode()
    ).hexdigest()
    finished = run.finished()
    asker = _Asker(reference, own, options)
    with asker:
        for start, block in _pieces(values, columns):
            events.check()
            stop = start + block.shape[0]
            rows = start + np.flatnonzero(np.diff(block.indptr) > 0)
            if len(rows):
                unit = BlockUnit.of(run.folder / FOLDER, start, block, key)
                found = unit.kept(finished)
                if found is None:
                    found = asker.classify(block[rows - start])
                    unit.keep(found, run, f"cells {start + 1} to {stop}")
                codes[rows], scores[rows] = found["codes"], found["scores"]
                following[rows] = found["following"]
            events.emit("progress", done=stop, total=n, unit="cell")
        there = np.flatnonzero(codes >= 0)
        pruned = np.zeros(n, dtype=bool)
        if len(there):
            events.check()
            pruned[there] = asker.prune(codes[there], scores[there], following[there])
        return Answered(codes, scores, pruned, asker.version)


class _Asker:
    """An R that is trained when the first block comes."""

    def __init__(
        self, reference: SingleRReference, own: NDArray[np.intp], options: Mapping[str, Any]
    ) -> None:
        self._reference, self._own, self._options = reference, own, options
        self._opened: AbstractContextManager[Ask] | None = None
        self._ask: Ask | None = None
        self._trained = False
        self.version = ""

    def __enter__(self) -> _Asker:
        self._opened = open_r()
        self._ask = self._opened.__enter__()
        self.version = str(self._asked("version", {}, {})["version"])
        return self

    def __exit__(self, *error: Any) -> None:
        if self._opened is not None:
            self._opened.__exit__(*error)

    def _asked(
        self, step: str, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, Any]:
        assert self._ask is not None
        return self._ask(step, plain, arrays)

    def classify(self, block: csr_matrix) -> Arrays:
        """Return labels, scores and how far the next label is, of some cells x shared genes."""
        if not self._trained:
            self._train()
        found = self._asked(
            "classify",
            {name: self._options[name] for name in ("quantile", "fine_tune", "tune_thresh")},
            _arrays(block),
        )
        n, k = block.shape[0], len(self._reference.names)
        # R's matrices are by columns.
        return {
            "codes": np.asarray(found["codes"], dtype=np.int32),
            "scores": np.asarray(found["scores"], dtype=np.float64).reshape(k, n).T,
            "following": np.asarray(found["following"], dtype=np.float64),
        }

    def _train(self) -> None:
        matrix = self._reference.matrix[:, self._own]
        if matrix.nnz * 8 > MOST_BYTES:
            message = (
                f"The reference has {matrix.nnz:,} values of the shared genes, too many for R."
            )
            raise ModelError(message, "Take fewer cells of each of its labels.")
        self._asked(
            "train",
            {
                "names": list(self._reference.names),
                "genes": len(self._own),
                "de_method": self._options["de_method"],
                "de_n": self._options["de_n"],
            },
            {**_arrays(matrix), "labels": self._reference.codes.astype(np.int32)},
        )
        self._trained = True

    def prune(
        self,
        codes: NDArray[np.int32],
        scores: NDArray[np.float64],
        following: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Return which labels SingleR prunes, of all cells together."""
        found = self._asked(
            "prune",
            {"names": list(self._reference.names)},
            {"codes": codes, "scores": np.ravel(scores, order="F"), "following": following},
        )
        pruned: NDArray[np.bool_] = np.asarray(found["pruned"], dtype=np.int32) != 0
        return pruned


def _arrays(matrix: csr_matrix) -> dict[str, NDArray[np.generic]]:
    """Return cells x genes as R has genes x cells."""
    matrix.sort_indices()
    return {
        "indptr": matrix.indptr.astype(np.int32),
        "indices": matrix.indices.astype(np.int32),
        "data": matrix.data.astype(np.float64),
    }


def _pieces(values: LogNormalized, columns: NDArray[np.intp]) -> Iterator[tuple[int, csr_matrix]]:
    for start, block in values:
        own = block[:, columns]
        own.eliminate_zeros()
        for first in range(0, own.shape[0], ROWS):
            yield start + first, own[first : first + ROWS]
