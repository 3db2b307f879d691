"""Whether markers can be found in values: what is wrong with them, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import MarkersRequiredError, in_language
from ..expression.kinds import look_at

if TYPE_CHECKING:
    from ..expression.kinds import Look
    from ..expression.source import ExpressionSource

LOG = "scanpy.pp.log1p(adata)"
NORMALISE = f"scanpy.pp.normalize_total(adata, target_sum=1e4); {LOG}"


def check_testable(
    source: ExpressionSource | None, counts_in: str | None = None, *, for_labels: bool = False
) -> None:
    """Raise where a test of these values would mean nothing.

    Parameters
    ----------
    source
        Cells x genes, to be log-normalised values.
    counts_in
        Where the AnnData has its raw counts, such as ``layers["counts"]``; None where it has none.
    for_labels
        Whether clusters are annotated, and markers could be given instead.

    Raises
    ------
    MarkersRequiredError
        There is no expression, or it is not log-normalised; names the cause and the cure.

    Examples
    --------
    >>> import numpy as np
    >>> from cellferry.study.expression.matrix import MatrixSource
    >>> check_testable(MatrixSource(np.array([[0.5, 0.0], [1.5, 0.7]]), ["CD3E", "CD79A"]))
    """
    why = (
        "No markers were given, and none can be computed"
        if for_labels
        else ("Markers cannot be computed")
    )
    if source is None and counts_in is None:
        message = f"{why}: there is no expression."
        raise MarkersRequiredError(message, "Pass the object itself, or a marker table.")
    seen = None if source is None else look_at(source)
    if seen is not None and seen.kind == "normalized":
        return
    problem, cure = _problem(seen, counts_in)
    message = f"{why}: {problem}."
    hint = in_language(
        python=f"{cure}, and {'annotate' if for_labels else 'try'} again.",
        r="Normalise the counts first: x <- NormalizeData(x)",
        cli=f"In Python: {cure}; adata.write_h5ad(FILE).",
    )
    raise MarkersRequiredError(message, f"{hint} Or pass `markers`." if for_labels else hint)


def _problem(seen: Look | None, counts_in: str | None) -> tuple[str, str]:
    """Return what is wrong with values, or that there are none, and its cure in Python."""
    if seen is None:
        problem = f"there are raw counts ({counts_in}), and no log-normalised values"
        return problem, f"Normalise them: {_taking(str(counts_in))}{NORMALISE}"
    cures: dict[str, tuple[str, str]] = {
        "counts": (
            "the data look like raw counts (all values are whole numbers)",
            f"Normalise them: {_taking(counts_in or 'X')}{NORMALISE}",
        ),
        "linear": (
            f"the data are not logged (values go up to {seen.largest:,.6g})",
            f"Take the logarithm: {LOG}",
        ),
        "empty": ("the data have nothing but zeros", "Put the values in X"),
    }
    if seen.kind_of_finite == "scaled":
        and_damaged = " and some are no finite numbers" if seen.kind == "damaged" else ""
        problem = f"the data are scaled (some values are negative{and_damaged})"
        cure = (
            "Go back to the object before scanpy.pp.scale(), and keep its log-normalised values: "
            "adata.raw = adata.copy()"
        )
        if counts_in is not None:
            cure = f"Normalise the counts: {_taking(counts_in)}{NORMALISE}"
    elif seen.kind == "damaged":
        problem = f"the data are damaged (one value is {seen.not_finite})"
        cure = (
            "Leave out the genes with such values: import numpy; bad = "
            "~numpy.isfinite(numpy.asarray(adata.X.sum(axis=0))).ravel(); "
            "adata = adata[:, ~bad].copy()"
        )
    else:
        problem, cure = cures[seen.kind]
    return problem, cure


def _taking(counts_in: str) -> str:
    """Return the Python that puts raw counts into X, without losing them."""
    if counts_in == "X":
        return 'adata.layers["counts"] = adata.X.copy(); '
    if counts_in == "raw.X":
        return "adata = adata.raw.to_adata(); "
    return f"adata.X = adata.{counts_in}.copy(); "
