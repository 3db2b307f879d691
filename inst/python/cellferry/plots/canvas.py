"""Where pictures are drawn: axes, background, legend, and what happens at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._version import pip_install
from ..errors import DependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
"""Dots per inch of a file."""

SHARE_MAPS = ("Blues", "cividis")
"""Colours of what goes from 0 to 1, on a light and a dark background."""

LEGEND_ROWS = 16
"""Labels up to which a legend has one column."""


@dataclass(frozen=True)
class Canvas:
    """Axes, and the colours of what is not data.

    Attributes
    ----------
    dark
        Whether the background is dark.
    given
        Whether the axes are the caller's, who then shows and saves the figure.
    """

    ax: Axes
    dark: bool
    given: bool

    @property
    def ink(self) -> str:
        """The colour of text."""
        return "#e4e8ea" if self.dark else "#1c2226"

    @property
    def page(self) -> str:
        """The colour of the background."""
        from matplotlib.colors import to_hex

        return to_hex(self.ax.get_facecolor())

    @property
    def muted(self) -> str:
        """The colour of lines that lead to a text."""
        return "#9aa5ac" if self.dark else "#5c666d"


def canvas(ax: Axes | None, size: tuple[float, float]) -> Canvas:
    """Return axes to draw into: those that are given, or new ones of a size in inches.

    Raises
    ------
    DependencyError
        matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
        from matplotlib.colors import to_rgb
    except ImportError as error:
        message = "Pictures are drawn by matplotlib, which is not installed."
        raise DependencyError(message, f"Run: {pip_install('plots')}") from error
    given = ax is not None
    drawn: Any = plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    red, green, blue = to_rgb(drawn.get_facecolor())
    made = Canvas(drawn, 0.299 * red + 0.587 * green + 0.114 * blue < 0.5, given)
    for spine in ("top", "right"):
        drawn.spines[spine].set_visible(False)
    return made


def finished(
    drawn: Canvas, *, show: bool | None, save: str | os.PathLike[str] | bool | None, name: str
) -> Axes:
    """Save and show the figure as scanpy does, and return the axes.

    Parameters
    ----------
    show
        None shows a figure of our own where matplotlib is interactive or in a notebook.
    save
        File to write; True is ``<name>.pdf`` in the working folder.
    name
        What the picture is called.
    """
    import matplotlib.pyplot as plt

    figure = figure_of(drawn)
    if save:
        path = f"{name}.pdf" if save is True else os.fspath(save)
        background = figure.get_facecolor()
        figure.savefig(path, dpi=DPI, bbox_inches="tight", facecolor=background)
    if show or (show is None and not save and not drawn.given and plt.isinteractive()):
        plt.show()
    return drawn.ax


def figure_of(drawn: Canvas) -> Figure:
    """Return the whole figure that axes are in."""
    figure = drawn.ax.get_figure(root=True)
    assert figure is not None
    return figure


def legend_beside(
    drawn: Canvas, names: Sequence[str], colours: Iterable[str], title: str = ""
) -> None:
    """Draw a legend to the right of the axes: one dot and one name for each colour."""
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=colour, label=name)
        for name, colour in zip(names, colours, strict=True)
    ]
    drawn.ax.legend(
        handles=dots,
        title=title or None,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        labelcolor=drawn.ink,
        fontsize="small",
        ncols=1 + (len(dots) - 1) // LEGEND_ROWS,
        handletextpad=0.2,
        columnspacing=1.0,
    )
