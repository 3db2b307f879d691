"""Shares of cells: of labels in other labels, and of labels in samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import GroupMissingError, nearest
from ..study.clusters import Clusters
from .canvas import SHARE_MAPS, canvas, finished, legend_beside
from .labelled import labelled

if TYPE_CHECKING:
    import os

    import anndata
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

NO_LABEL = "no label"
WRITTEN = 400
"""Fields of a comparison up to which the shares are written into them."""

LEAST_WRITTEN = 0.005
"""Shares below this are not written."""


def compare(
    adata: anndata.AnnData,
    key: str,
    other: str,
    *,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | os.PathLike[str] | bool | None = None,
) -> Axes:
    """Draw which labels of one column the cells of each label of another one have.

    Parameters
    ----------
    adata
        An AnnData.
    key
        Column of old labels, one in a row; it need not be cellferry's.
    other
        Column of new labels, one in a column.
    ax
        Axes to draw into; None makes a figure as large as needed.
    show
        Whether to show the figure.
    save
        File to write.

    Returns
    -------
    matplotlib.axes.Axes
        A field is the share of the row's cells; each row is 1 together. Cells without a label are
        a row or a column of their own, where there are some.

    Raises
    ------
    GroupMissingError
        There is no such column.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"old": ["T cell"] * 2, "new": ["CD4 T cell", "CD8 T cell"]}, ["a", "b"])
    >>> compare(anndata.AnnData(obs=obs), "old", "new", show=False).images[0].get_array().tolist()
    [[0.5, 0.5]]
    """
    rows, columns = labelled(adata, key), labelled(adata, other)
    counts, row_names, column_names = _table(
        (rows.codes, rows.names), (columns.codes, columns.names)
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    size = (2.4 + 0.42 * len(column_names), 2.2 + 0.34 * len(row_names))
    drawn = canvas(ax, size)
    image = drawn.ax.imshow(shares, cmap=SHARE_MAPS[drawn.dark], vmin=0, vmax=1, aspect="auto")
    drawn.ax.set_xticks(range(len(column_names)), column_names, rotation=90, fontsize="small")
    drawn.ax.set_yticks(range(len(row_names)), row_names, fontsize="small")
    drawn.ax.tick_params(length=0)
    drawn.ax.set_xlabel(other)
    drawn.ax.set_ylabel(key)
    for spine in drawn.ax.spines.values():
        spine.set_visible(False)
    if shares.size <= WRITTEN:
        for (i, j), share in np.ndenumerate(shares):
            if share >= LEAST_WRITTEN:
                on_dark = (share < 0.5) == drawn.dark
                drawn.ax.text(
                    j,
                    i,
                    f"{share:.2f}".removeprefix("0"),
                    ha="center",
                    va="center",
                    fontsize="x-small",
                    color="#ffffff" if on_dark else "#1c2226",
                )
    bar = drawn.ax.figure.colorbar(image, ax=drawn.ax, shrink=0.7, label="share of the row's cells")
    bar.outline.set_visible(False)
    return finished(drawn, show=show, save=save, name=f"compare_{key}_{other}")


def composition(
    adata: anndata.AnnData,
    key: str | None = None,
    *,
    sample_key: str,
    counts: bool = False,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | os.PathLike[str] | bool | None = None,
) -> Axes:
    """Draw of which labels each sample is composed, as stacked bars.

    Parameters
    ----------
    adata
        An AnnData that was labelled.
    key
        Column of the labels; None is the newest.
    sample_key
        Column of the samples.
    counts
        Whether bars are numbers of cells; else they are shares.
    ax
        Axes to draw into; None makes a figure as large as needed.
    show
        Whether to show the figure.
    save
        File to write.

    Returns
    -------
    matplotlib.axes.Axes
        One bar for each sample, from above in the order of the samples; labels in lineage order.

    Raises
    ------
    AnnotationsMissingError
        There are no annotations.
    GroupMissingError
        There is no such column.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"type": ["T cell", "B cell"], "donor": ["1", "1"]}, ["a", "b"])
    >>> ax = composition(anndata.AnnData(obs=obs), "type", sample_key="donor", show=False)
    >>> [float(bar.get_width()) for bar in ax.patches]
    [0.5, 0.5]
    """
    found = labelled(adata, key)
    if sample_key not in adata.obs:
        guess = nearest(sample_key, [str(name) for name in adata.obs])
        message = f'The metadata has no column "{sample_key}" with samples.'
        raise GroupMissingError(message, f'Did you mean "{guess}"?' if guess else "")
    samples = Clusters.from_column(adata.obs[sample_key])
    assert samples.codes is not None
    drawn = canvas(ax, (7.0, 1.4 + 0.32 * len(samples.names)))
    codes = np.asarray(samples.codes, dtype=np.intp)
    table, of_sample, of_label = _table(
        (codes[codes >= 0], samples.names), (found.codes[codes >= 0], found.names)
    )
    values = table if counts else table / table.sum(axis=1, keepdims=True)
    start = np.zeros(len(of_sample))
    *own, none = found.colours(drawn)
    known = dict(zip(found.names, own, strict=True))
    colours = [known.get(name, none) for name in of_label]
    for j, colour in enumerate(colours):
        drawn.ax.barh(
            range(len(of_sample)),
            values[:, j],
            left=start,
            color=colour,
            edgecolor=drawn.page,
            linewidth=0.6,
            height=0.82,
        )
        start += values[:, j]
    drawn.ax.set_yticks(range(len(of_sample)), of_sample, fontsize="small")
    drawn.ax.set_ylim(len(of_sample) - 0.5, -0.5)
    drawn.ax.set_xlim(0, float(start.max()))
    drawn.ax.set_xlabel("cells" if counts else "share of cells")
    drawn.ax.set_ylabel(sample_key)
    drawn.ax.tick_params(axis="y", length=0)
    legend_beside(drawn, of_label, colours)
    return finished(drawn, show=show, save=save, name=f"composition_{found.key}")


_Coded = tuple["NDArray[np.intp]", tuple[str, ...]]


def _table(rows: _Coded, columns: _Coded) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Return the cells of rows x columns, and their names; -1 is the last one, if it occurs."""
    shape = (len(rows[1]) + 1, len(columns[1]) + 1)
    counts = np.zeros(shape)
    np.add.at(counts, (rows[0], columns[0]), 1)
    has_row, has_column = counts.sum(axis=1) > 0, counts.sum(axis=0) > 0
    row_names = np.array([*rows[1], NO_LABEL], dtype=object)[has_row]
    column_names = np.array([*columns[1], NO_LABEL], dtype=object)[has_column]
    return counts[has_row][:, has_column], list(row_names), list(column_names)
