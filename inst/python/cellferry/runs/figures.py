"""The figures of genes of a run: what its page draws of any gene, kept beside the answers."""

from __future__ import annotations

from pathlib import Path

from ..files import write_whole
from ..study.expression.gene_summary import GeneSummary

FIGURES = "genes.npz"


def keep_figures(folder: Path, figures: GeneSummary) -> None:
    """Write the figures into the folder of a run.

    Parameters
    ----------
    folder
        Of the run.
    figures
        Of all genes, by cluster.
    """
    write_whole(folder / FIGURES, figures.to_bytes())


def kept_figures(folder: Path) -> GeneSummary | None:
    """Return the figures in the folder of a run; None where there are none that can be read.

    Examples
    --------
    >>> kept_figures(Path("/no/such/folder")) is None
    True
    """
    try:
        return GeneSummary.from_bytes((folder / FIGURES).read_bytes())
    except (OSError, ValueError):
        return None
