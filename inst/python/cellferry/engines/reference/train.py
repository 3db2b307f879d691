"""Training: from an object with labels to a model, with the rejection that it will use.

Two reads, block by block: which genes tell the classes apart, then those genes of at most
:data:`MOST_CELLS` cells of each class, chosen by the hash of their names, so that neither the order
of the cells nor chance changes the model. The classes of a capped sample count about alike.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._version import __version__
from ...biology.recognition import detect_species
from ...errors import DependencyError, ModelError, OutputError, in_language
from ...study.options import flag, whole_number
from ...study.symbols import with_expression_symbols
from ..models.answers import terms_of
from ..models.genes import places
from ..models.labels import Labels, labels_of, with_labelled
from ..models.values import LogNormalized
from .model import ReferenceModel

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...study.study import Study

logger = logging.getLogger("cellferry")

MOST_CELLS = 500
"""Cells of each class that the model is fitted to."""
FEWEST_CELLS = 10
"""A class with fewer cells can't be held out and found again."""
FOLDS = 3
REGULARISATION = 0.01
"""C of scikit-learn's LogisticRegression, over genes with a variance of one."""
SMALLEST_SCALE = 0.1
MOST_WRONG = 0.05
"""Share of the labelled cells that may be wrong, of those held out."""
LEFT_OUT = 0.01
"""Share of the cells of a class that are held out, right and still called Unknown."""


def train_reference(
    data: anndata.AnnData | Study | str | os.PathLike[str],
    labels: str,
    path: str | os.PathLike[str],
    *,
    n_genes: int = 2_000,
    leave_out: bool = False,
    overwrite: bool = False,
    assay: str | None = None,
) -> ReferenceModel:
    """Train a model on an annotated object, for the engine ``reference``, and write it to a file.

    A multinomial logistic regression of scikit-learn over the genes that tell the labels apart.
    Three-fold cross-validation makes its probabilities the share of cells that are right, and finds
    below which probability, and how far from its class, a cell is called Unknown.

    Parameters
    ----------
    data
        AnnData (cells x genes), a study, or the path of an .h5ad, zarr or .rds, with counts or
        log-normalised values. It is not changed.
    labels
        Column of the metadata with the labels.
    path
        Of the model, usually ``.npz``.
    n_genes
        Genes of the model at most.
    leave_out
        Leave out cells without a label and labels of fewer than 10 cells; else they are errors.
    overwrite
        Replace the file.
    assay
        Of an .rds; None is its default assay.

    Returns
    -------
    ReferenceModel
        As it was written; ``about["cross_validation"]`` has its figures.

    Raises
    ------
    ModelError
        The labels are missing, of one class or of too few cells.
    GroupMissingError, NotNormalizedError, OutputError, DependencyError

    Examples
    --------
    >>> from cellferry.engines.contract import example_cells
    >>> target = getfixture("tmp_path") / "blood.npz"
    >>> train_reference(example_cells(90), "cluster", target).classes
    ('0', '1', '2')
    """
    n_genes = whole_number("n_genes", n_genes, 2)
    leave_out = flag("leave_out", leave_out)
    target = Path(path)
    check_target(target, overwrite=overwrite)
    _sklearn()

    def work(study: Study) -> ReferenceModel:
        return train(study, n_genes=n_genes, leave_out=leave_out)

    model = with_labelled(data, labels, work, assay=assay)
    model.save(target)
    return model


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` if the model cannot be written there, before any work.

    Parameters
    ----------
    path
        Of the model.
    overwrite
        Whether it may be there already.
    """
    if not path.parent.is_dir():
        message = f'The model cannot be written to "{path}": there is no folder "{path.parent}".'
        raise OutputError(message, "Make the folder first, or choose another path.")
    if path.exists() and not overwrite:
        message = f'There is a file "{path}", and it is not replaced.'
        raise OutputError(message, "Choose another path, or pass `overwrite=True`.")


def train(study: Study, *, n_genes: int = 2_000, leave_out: bool = False) -> ReferenceModel:
    """Return the model of a study whose clusters are the labels.

    Parameters
    ----------
    study
        Of cells, with all genes of the object.
    n_genes, leave_out
        As in :func:`train_reference`.

    Raises
    ------
    ModelError, NotNormalizedError
    """
    study = with_expression_symbols(study)
    labelled = labels_of(study, leave_out=leave_out, fewest=FEWEST_CELLS)
    values = LogNormalized.of(study, "reference")
    logger.info("%s", values.said)
    genes = np.array(sorted(places(values.source.genes).values()), dtype=np.intp)
    chosen = _telling_genes(values, labelled, genes, n_genes)
    sample = _sample(study, labelled)
    matrix = _read(values, sample, chosen)
    codes = labelled.codes[sample]
    means, scales = _moments(matrix)
    dense = _standardised(matrix, means, scales)
    found = _cross_validated(dense, codes, len(labelled.names))
    fitted = _fit(dense, codes, len(labelled.names))
    names = [values.source.genes[i] for i in chosen]
    guess = detect_species(values.source.genes)
    return ReferenceModel(
        tuple(names),
        labelled.names,
        *fitted,
        means=means,
        scales=scales,
        centroids=_centroids(dense, codes, len(labelled.names)),
        similarities=found.similarities,
        calibration_p=found.calibration_p,
        calibration_share=found.calibration_share,
        threshold=found.threshold,
        ontology=terms_of(labelled.names),
        about={
            "labels": study.group_key,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "species": study.context.species or guess.species,
            "n_cells": {n: int(k) for n, k in zip(labelled.names, labelled.sizes, strict=True)},
            "fitted_to": len(codes),
            "read": values.how,
            "cross_validation": found.figures,
            "versions": {"cellferry": __version__, **_versions()},
        },
    )


def _telling_genes(
    values: LogNormalized, labelled: Labels, genes: NDArray[np.intp], most: int
) -> NDArray[np.intp]:
    """Return the genes whose means differ most between classes, for their spread within them."""
    from scipy.sparse import csr_matrix

    k, g = len(labelled.names), values.source.shape[1]
    sums, squares = np.zeros((k, g)), np.zeros(g)
    for start, block in values:
        codes = labelled.codes[start : start + block.shape[0]]
        rows = np.flatnonzero(codes >= 0)
        ones = np.ones(len(rows), dtype=np.float32)
        of_class = csr_matrix((ones, (codes[rows], rows)), shape=(k, len(codes)))
        sums += (of_class @ block).toarray()
        squared = block[rows].astype(np.float64)
        squared.data **= 2
        squares += np.asarray(squared.sum(axis=0)).ravel()
    sizes = labelled.sizes[:, None]
    means = sums / sizes
    # Each class weighs the same, so that rare ones have their genes too.
    between = means.var(axis=0)
    within = np.maximum(squares / sizes.sum() - (sizes * means**2).sum(axis=0) / sizes.sum(), 0)
    score = between / (within + SMALLEST_SCALE**2)
    candidates = genes[score[genes] > 0]
    order = np.lexsort((candidates, -score[candidates]))
    found: NDArray[np.intp] = np.sort(candidates[order[:most]])
    if len(found) < 2:
        message = "No gene differs between the labels of the reference."
        raise ModelError(message, "Is it normalised, and are these the labels of its cells?")
    return found


def _sample(study: Study, labelled: Labels) -> NDArray[np.intp]:
    """Return rows of at most :data:`MOST_CELLS` cells of each class, in the order of a hash."""
    assert study.cells is not None
    hashes = [hashlib.blake2b(cell.encode(), digest_size=8).digest() for cell in study.cells]
    order = np.array(sorted(range(len(hashes)), key=hashes.__getitem__), dtype=np.intp)
    codes = labelled.codes[order]
    chosen = [order[codes == k][:MOST_CELLS] for k in range(len(labelled.names))]
    found: NDArray[np.intp] = np.concatenate(chosen)
    return found


def _read(values: LogNormalized, sample: NDArray[np.intp], genes: NDArray[np.intp]) -> csr_matrix:
    """Return the genes of the cells of the sample, in its order."""
    from scipy.sparse import csr_matrix, vstack

    ordered = np.sort(sample)
    parts = []
    for start, block in values:
        first, last = np.searchsorted(ordered, [start, start + block.shape[0]])
        if last > first:
            parts.append(block[ordered[first:last] - start][:, genes])
    whole = csr_matrix(vstack(parts, format="csr"))
    found: csr_matrix = whole[np.searchsorted(ordered, sample)]
    return found


def _moments(matrix: csr_matrix) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and scale of each gene of the sample."""
    means = np.asarray(matrix.mean(axis=0), dtype=np.float64).ravel()
    squared = matrix.astype(np.float64)
    squared.data **= 2
    variance = np.asarray(squared.mean(axis=0)).ravel() - means**2
    scales = np.maximum(np.sqrt(np.maximum(variance, 0)), SMALLEST_SCALE)
    return means.astype(np.float32), scales.astype(np.float32)


def _standardised(
    matrix: csr_matrix, means: NDArray[np.float32], scales: NDArray[np.float32]
) -> NDArray[np.float32]:
    dense: NDArray[np.float32] = matrix.toarray().astype(np.float32)
    dense -= means
    dense /= scales
    return dense


def _centroids(dense: NDArray[np.float32], codes: NDArray[np.intp], k: int) -> NDArray[np.float32]:
    return np.vstack([dense[codes == i].mean(axis=0) for i in range(k)]).astype(np.float32)


def _fit(
    dense: NDArray[np.float32], codes: NDArray[np.intp], k: int, c: float = REGULARISATION
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return coefficients (K x G) and intercepts (K) of the softmax over K classes."""
    made = _sklearn().linear_model.LogisticRegression(C=c, max_iter=200, tol=1e-3)
    made.fit(dense, codes)
    coefficients, intercepts = made.coef_, made.intercept_
    if k == 2:
        # Of two classes scikit-learn keeps the second one's.
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    return coefficients.astype(np.float32), intercepts.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """What cross-validation found."""

    threshold: float
    similarities: NDArray[np.float32]
    calibration_p: NDArray[np.float64]
    calibration_share: NDArray[np.float64]
    figures: dict[str, float]


def _cross_validated(dense: NDArray[np.float32], codes: NDArray[np.intp], k: int) -> _HeldOut:
    """Predict each cell by a model that has not seen it, and find what is to be rejected."""
    n = len(codes)
    fold = np.zeros(n, dtype=np.intp)
    for i in range(k):
        rows = np.flatnonzero(codes == i)
        fold[rows] = np.arange(len(rows)) % FOLDS
    best, sure, similar = np.zeros(n, dtype=np.intp), np.zeros(n), np.zeros(n)
    for f in range(FOLDS):
        inside, outside = fold != f, fold == f
        # As strong for each cell as in the model of all cells, which must not be surer than these.
        c = REGULARISATION * n / int(inside.sum())
        coefficients, intercepts = _fit(dense[inside], codes[inside], k, c)
        held = dense[outside]
        logits = held @ coefficients.T + intercepts
        logits -= logits.max(axis=1, keepdims=True)
        exps = np.exp(logits)
        found = np.argmax(logits, axis=1)
        centroids = _centroids(dense[inside], codes[inside], k)[found]
        best[outside] = found
        sure[outside] = exps.max(axis=1) / exps.sum(axis=1)
        lengths = np.linalg.norm(held, axis=1) * np.linalg.norm(centroids, axis=1)
        similar[outside] = np.sum(held * centroids, axis=1) / np.maximum(lengths, 1e-9)
    right = best == codes
    threshold = _threshold(sure, right)
    similarities = np.full(k, -1.0, dtype=np.float32)
    for i in range(k):
        of_class = similar[right & (best == i)]
        if len(of_class):
            similarities[i] = np.quantile(of_class, LEFT_OUT)
    kept = (sure >= threshold) & (similar >= similarities[best])
    made = _sklearn().isotonic.IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    made.fit(sure, right.astype(float))
    figures = {
        "folds": FOLDS,
        "cells": n,
        "right": round(float(right.mean()), 4),
        "labelled": round(float(kept.mean()), 4),
        "right_of_labelled": round(float(right[kept].mean()), 4) if kept.any() else 0.0,
    }
    return _HeldOut(
        threshold,
        similarities,
        np.asarray(made.X_thresholds_, dtype=np.float64),
        np.asarray(made.y_thresholds_, dtype=np.float64),
        figures,
    )


def _threshold(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the lowest probability from which on few enough labels are wrong."""
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    fine = np.flatnonzero(wrong <= MOST_WRONG)
    lowest = float(sure[order[fine[-1]]]) if len(fine) else 1.0
    of_right = sure[right]
    return max(lowest, float(np.quantile(of_right, LEFT_OUT))) if len(of_right) else lowest


def _sklearn() -> Any:
    try:
        import sklearn.isotonic
        import sklearn.linear_model
    except ImportError as error:
        message = "Training a model needs scikit-learn, which is not installed."
        hint = in_language(
            python="pip install 'cellferry[reference]'",
            r='reticulate::virtualenv_install("r-cellferry", "scikit-learn"), and start R again.',
            cli="pip install 'cellferry[reference]'",
        )
        raise DependencyError(message, hint) from error
    return sklearn


def _versions() -> dict[str, str]:
    return {"scikit-learn": str(_sklearn().__version__), "numpy": np.__version__}
