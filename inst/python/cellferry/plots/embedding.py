"""Cells on an embedding: their labels, and how sure these are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import GroupMissingError, InvalidOptionError
from ..study.embeddings import embedding_of
from .canvas import Canvas, canvas, figure_of, finished, legend_beside
from .labelled import Labelled, labelled
from .texts import GAP, Box, placed

if TYPE_CHECKING:
    import os

    import anndata
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

SIZE = (6.4, 5.6)
MAPS = ("viridis", "viridis_r")
"""Colours of confidence, on a light and a dark background: what is unsure stands out."""


def labels(
    adata: anndata.AnnData,
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    legend: Literal["auto", "on data", "beside"] = "auto",
    size: float | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | os.PathLike[str] | bool | None = None,
) -> Axes:
    """Draw cells on an embedding, coloured by label, with the names of the labels on it.

    Names are at the middle of their cells and moved where they would meet; a line leads to the
    cells of one that was moved. Where there is no room for all, the picture has numbers and the
    names are beside it.

    Parameters
    ----------
    adata
        An AnnData that was labelled.
    key
        Column of the labels; None is the newest.
    coordinates_key
        Name of the embedding in ``obsm``; None is UMAP, else t-SNE, else PCA, else the first.
    legend
        Where names are: ``"auto"``, ``"on data"`` (overlapping rather than beside), ``"beside"``.
    size
        Area of a dot, as ``s`` of matplotlib's ``scatter``; None follows the number of cells.
    ax
        Axes to draw into; None makes a figure.
    show
        Whether to show the figure.
    save
        File to write.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AnnotationsMissingError
        There are no annotations.
    GroupMissingError
        There is no such column or embedding.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"type": ["T cell", "B cell"]}, index=["a", "b"])
    >>> adata = anndata.AnnData(obs=obs, obsm={"X_umap": np.eye(2)})
    >>> [text.get_text() for text in labels(adata, "type", show=False).texts]
    ['T cell', 'B cell']
    """
    if legend not in {"auto", "on data", "beside"}:
        message = f'`legend` must be "auto", "on data" or "beside", and is {legend!r}.'
        raise InvalidOptionError(message)
    found = labelled(adata, key)
    name, values = _coordinates(adata, coordinates_key)
    drawn = canvas(ax, SIZE)
    _scatter(drawn, values, found, size)
    _dress(drawn, name, found.key)
    _name(drawn, values, found, legend)
    return finished(drawn, show=show, save=save, name=f"labels_{found.key}")


def confidence(
    adata: anndata.AnnData,
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | os.PathLike[str] | bool | None = None,
) -> Axes:
    """Draw cells on an embedding, coloured by the confidence of their label, from 0 to 1.

    Cells without a confidence are grey.

    Parameters
    ----------
    adata
        An AnnData that was labelled.
    key
        Column of the labels; None is the newest.
    coordinates_key
        Name of the embedding in ``obsm``; None is UMAP, else t-SNE, else PCA, else the first.
    size
        Area of a dot; None follows the number of cells.
    ax
        Axes to draw into; None makes a figure.
    show
        Whether to show the figure.
    save
        File to write.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AnnotationsMissingError
        There are no annotations.
    GroupMissingError
        There is no such column, no confidence, or no such embedding.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"type": ["T cell"], "type_confidence": [0.9]}, index=["a"])
    >>> adata = anndata.AnnData(obs=obs, obsm={"X_umap": np.zeros((1, 2))})
    >>> confidence(adata, "type", show=False).get_title()
    'Confidence of type'
    """
    import pandas as pd

    found = labelled(adata, key)
    chosen = found.key
    name, values = _coordinates(adata, coordinates_key)
    column = f"{chosen}_confidence"
    if column not in adata.obs:
        message = f'The metadata has no column "{column}" with the confidence of the labels.'
        raise GroupMissingError(message)
    sure = pd.to_numeric(adata.obs[column], errors="coerce").to_numpy(dtype="f8", na_value=np.nan)
    drawn = canvas(ax, SIZE)
    none = np.isnan(sure)
    _points(drawn, values[none], size, len(values), color=found.colours(drawn)[-1])
    # The least sure are drawn last, on top.
    order = np.flatnonzero(~none)[np.argsort(-sure[~none], kind="stable")]
    points = _points(
        drawn,
        values[order],
        size,
        len(values),
        c=sure[order],
        cmap=MAPS[drawn.dark],
        vmin=0,
        vmax=1,
    )
    bar = drawn.ax.figure.colorbar(points, ax=drawn.ax, shrink=0.6, label="confidence")
    bar.outline.set_visible(False)
    _dress(drawn, name, f"Confidence of {chosen}")
    return finished(drawn, show=show, save=save, name=f"confidence_{chosen}")


def _coordinates(adata: anndata.AnnData, key: str | None) -> tuple[str, NDArray[np.float64]]:
    found = embedding_of(adata, key)
    if found is None:
        message = "The object has no embedding to draw cells on."
        raise GroupMissingError(message, "Make one first, for example sc.tl.umap(adata).")
    return found[0], np.asarray(found[1], dtype=np.float64)


def _scatter(
    drawn: Canvas, values: NDArray[np.float64], found: Labelled, size: float | None
) -> None:
    without, of_label = found.codes < 0, found.colours(drawn)
    _points(drawn, values[without], size, len(values), color=of_label[-1])
    # Not label by label, of which the last would cover the others.
    mixed = np.random.default_rng(0).permutation(np.flatnonzero(~without))
    colours = np.array(of_label)[found.codes[mixed]]
    _points(drawn, values[mixed], size, len(values), c=colours)


def _points(
    drawn: Canvas, values: NDArray[np.float64], size: float | None, n: int, **style: Any
) -> Any:
    area = size if size is not None else float(np.clip(60_000 / max(n, 1), 1.5, 30))
    return drawn.ax.scatter(
        values[:, 0], values[:, 1], s=area, linewidths=0, rasterized=n > 10_000, **style
    )


def _dress(drawn: Canvas, name: str, title: str) -> None:
    short = name.removeprefix("X_").upper() if "umap" in name.lower() else name.removeprefix("X_")
    drawn.ax.set_title(title)
    drawn.ax.set_xlabel(f"{short} 1")
    drawn.ax.set_ylabel(f"{short} 2")
    drawn.ax.set_xticks([])
    drawn.ax.set_yticks([])


def _name(drawn: Canvas, values: NDArray[np.float64], found: Labelled, legend: str) -> None:
    finite = np.isfinite(values).all(axis=1)
    middles = []
    names = []
    for code, (text, colour) in enumerate(zip(found.names, found.colours(drawn), strict=False)):
        cells = finite & (found.codes == code)
        if cells.any():
            middles.append(np.median(values[cells], axis=0))
            names.append((text, colour))
    if not names:
        return
    points = np.array(middles)
    if legend != "beside":
        texts = [text for text, _ in names]
        if _write(drawn, points, texts, anyhow=legend == "on data"):
            return
    legend_beside(
        drawn, [f"{i} {text}" for i, (text, _) in enumerate(names, 1)], [c for _, c in names]
    )
    _write(drawn, points, [str(i) for i in range(1, len(names) + 1)], anyhow=True)


def _write(drawn: Canvas, points: NDArray[np.float64], names: list[str], *, anyhow: bool) -> bool:
    """Write names at points, and return whether there was room; otherwise only if `anyhow`."""
    from matplotlib.patheffects import withStroke

    ax = drawn.ax
    halo = [withStroke(linewidth=2.5, foreground=drawn.page)]
    made = [
        ax.text(
            float(point[0]),
            float(point[1]),
            name,
            ha="center",
            va="center",
            fontsize="small",
            fontweight="bold",
            color=drawn.ink,
            path_effects=halo,
            zorder=5,
        )
        for point, name in zip(points, names, strict=True)
    ]
    # Sizes are known once the axes have their place in the figure.
    figure_of(drawn).draw_without_rendering()
    area = ax.get_window_extent()
    wanted = []
    for text, point in zip(made, points, strict=True):
        extent = text.get_window_extent()
        x, y = ax.transData.transform(point) - (area.x0, area.y0)
        wanted.append(Box(x, y, extent.width / 2 + GAP, extent.height / 2 + GAP))
    spots = placed(
        [_inside(box, area.width, area.height) for box in wanted], area.width, area.height
    )
    if spots is None and not anyhow:
        for text in made:
            text.remove()
        return False
    to_data = ax.transData.inverted()
    for text, box, start in zip(made, spots or wanted, wanted, strict=True):
        x, y = to_data.transform((box.x + area.x0, box.y + area.y0)).tolist()
        text.set_position((x, y))
        if abs(box.x - start.x) > box.half_width or abs(box.y - start.y) > 1.5 * box.half_height:
            ends = to_data.transform([(b.x + area.x0, b.y + area.y0) for b in (start, box)]).T
            ax.plot(*ends, color=drawn.muted, linewidth=0.8, zorder=4, scalex=False, scaley=False)
    return True


def _inside(box: Box, width: float, height: float) -> Box:
    x = min(max(box.x, box.half_width), max(width - box.half_width, box.half_width))
    y = min(max(box.y, box.half_height), max(height - box.half_height, box.half_height))
    return box._replace(x=x, y=y)
