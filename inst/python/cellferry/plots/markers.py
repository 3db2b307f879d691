"""Dot plot of the genes that support each label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations.evidence import supporting_markers
from ..errors import AnnotationsMissingError, LayerMissingError
from .canvas import SHARE_MAPS, Canvas, canvas, finished
from .labelled import labelled

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import anndata
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

LARGEST = 90.0
"""Area of the dot of a gene that all cells have."""
MANY_GENES = 48
"""From more on, genes stand closer, their names in two rows."""
LARGEST_OF_MANY = 62.0
"""The same area where genes stand closer."""
LETTER_POINTS = 5.6
"""About the width of a letter of a gene's name."""

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of cells that the legend has."""


def supporting(
    adata: anndata.AnnData,
    key: str | None = None,
    n: int = 3,
    *,
    layer: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | os.PathLike[str] | bool | None = None,
) -> Axes:
    """Draw the genes that support each label: how many cells of each label have them, how strongly.

    Labels and their genes are in lineage order, so that what supports a label is on the diagonal.

    Parameters
    ----------
    adata
        An AnnData that was labelled.
    key
        Column of the labels; None is the newest of clusters.
    n
        Most genes of a label.
    layer
        Layer with the values; None is ``X``, or ``raw`` for genes that only ``raw`` has.
    ax
        Axes to draw into; None makes a figure as large as needed.
    show
        Whether to show the figure.
    save
        File to write.

    Returns
    -------
    matplotlib.axes.Axes
        Genes on x, labels on y. The size of a dot is the share of the label's cells with a value
        above 0; its colour is the mean of the values, from 0 to the highest mean of the gene.

    Raises
    ------
    AnnotationsMissingError
        There are no annotations, or no genes support their labels.
    LayerMissingError
        There is no such layer, or none of the genes is in the object.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> supporting(adata, n=2)  # doctest: +SKIP
    """
    of_label = supporting_markers(adata, key, n)
    if key is None and of_label:
        key = _key_of(adata)
    found = labelled(adata, key)
    genes = [gene for name in found.names for gene in of_label.get(name, [])]
    if not genes:
        message = "No genes support the labels of these annotations."
        raise AnnotationsMissingError(message, "Annotate with markers to have some.")
    genes, values = _values(adata, genes, layer)
    share, mean = _summed(values, found.codes, len(found.names))
    top = mean.max(axis=0)
    scaled = np.divide(mean, top, out=np.zeros_like(mean), where=top > 0)
    # Of many labels the picture is narrower per gene, or it would be shrunk to be shown.
    many = len(genes) > MANY_GENES
    wide, high, largest = (0.15, 0.24, LARGEST_OF_MANY) if many else (0.24, 0.27, LARGEST)
    drawn = canvas(ax, (2.6 + wide * len(genes), 1.6 + high * len(found.names)))
    x, y = np.meshgrid(np.arange(len(genes)), np.arange(len(found.names)))
    dots = drawn.ax.scatter(
        x.ravel(),
        y.ravel(),
        s=largest * share.ravel(),
        c=scaled.ravel(),
        cmap=SHARE_MAPS[drawn.dark],
        # From 0 on, not so that a dot of nothing is the page.
        vmin=-0.15,
        vmax=1,
        linewidths=0,
    )
    _dress(drawn, genes, found.names)
    if many:
        _set_apart(drawn, genes, [of_label.get(name, []) for name in found.names])
    bar = drawn.ax.figure.colorbar(
        dots,
        ax=drawn.ax,
        label="mean, of the gene's highest",
        shrink=0.4 if many else 0.7,
        aspect=12,
        pad=0.02,
    )
    bar.outline.set_visible(False)
    bar.ax.set_ylim(0, 1)
    _legend(drawn, largest)
    return finished(drawn, show=show, save=save, name=f"supporting_{found.key}")


def _key_of(adata: anndata.AnnData) -> str:
    from ..annotations.stored import stored_annotations

    return str(stored_annotations(adata, of_clusters=True).provenance.get("key"))


def _values(
    adata: anndata.AnnData, genes: list[str], layer: str | None
) -> tuple[list[str], NDArray[np.float64]]:
    """Return the genes that the object has, and their values, cells x genes."""
    source: Any = adata
    if layer is not None and layer not in adata.layers:
        message = f'The object has no layer "{layer}".'
        raise LayerMissingError(message)
    known = set(map(str, adata.var_names))
    if layer is None and adata.raw is not None and not known.issuperset(genes):
        source = adata.raw
        known = set(map(str, adata.raw.var_names))
    kept = [gene for gene in dict.fromkeys(genes) if gene in known]
    if not kept:
        message = "None of the genes that support the labels is in the object."
        raise LayerMissingError(message)
    chosen = source[:, kept]
    values = chosen.X if layer is None else chosen.layers[layer]
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return kept, np.asarray(dense, dtype=np.float64)


def _summed(
    values: NDArray[np.float64], codes: NDArray[np.intp], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for labels x genes the share of cells above 0, and the mean."""
    parts = [values[codes == code] for code in range(n)]
    return np.stack([(p > 0).mean(axis=0) for p in parts]), np.stack([p.mean(0) for p in parts])


def _dress(drawn: Canvas, genes: list[str], names: tuple[str, ...]) -> None:
    ax = drawn.ax
    ax.set_xticks(range(len(genes)), genes, rotation=90, fontsize="small")
    ax.set_yticks(range(len(names)), names, fontsize="small")
    ax.set_xlim(-0.7, len(genes) - 0.3)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(length=0)
    ax.grid(color=drawn.muted, alpha=0.15, linewidth=0.6)
    ax.set_axisbelow(True)


def _set_apart(drawn: Canvas, genes: list[str], of_labels: Sequence[Sequence[str]]) -> None:
    """Write names of genes in two rows, and shade the genes of every other label."""
    second = 8 + LETTER_POINTS * max(map(len, genes[::2]))
    for tick in drawn.ax.xaxis.get_major_ticks()[1::2]:
        tick.set_pad(second)
        # A line shows which column it is.
        tick.tick1line.set(visible=True, markersize=second - 2, color=drawn.muted, alpha=0.5)
    place = {gene: at for at, gene in enumerate(genes)}
    seen: set[str] = set()
    for number, own in enumerate(of_labels):
        new = [place[gene] for gene in own if gene in place and gene not in seen]
        seen.update(own)
        if new and number % 2 == 0:
            drawn.ax.axvspan(
                min(new) - 0.5, max(new) + 0.5, color=drawn.muted, alpha=0.1, linewidth=0, zorder=0
            )


def _legend(drawn: Canvas, largest: float) -> None:
    from matplotlib.lines import Line2D

    dots = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markeredgewidth=0,
            markersize=float(np.sqrt(largest * share)),
            color=drawn.muted,
            label=f"{share:.0%}",
        )
        for share in SHARES
    ]
    drawn.ax.legend(
        handles=dots,
        title="cells with the gene",
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=len(dots),
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        labelcolor=drawn.ink,
        alignment="left",
        handletextpad=0.1,
        columnspacing=1.0,
    )
