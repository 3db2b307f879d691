"""How results look as text: aligned columns on a terminal, a table in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_ROWS = 20
"""Rows up to which a table is shown whole; of a longer one its head is, as pandas does."""

HEAD = 10


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    most: int | None = None,
) -> str:
    """Return rows of text in columns; of a long table its first ten rows.

    Parameters
    ----------
    columns
        Their names.
    rows
        One text per column.
    right
        Columns that are aligned to the right.
    most
        Rows up to which all are shown; None shows all.

    Examples
    --------
    >>> print(table(["label", "n"], [["B cell", "3"]], right=["n"]))
    label   n
    B cell  3
    """
    kept = rows if most is None or len(rows) <= most else rows[:HEAD]
    lines = [aligned(columns, kept, right)]
    if len(kept) < len(rows):
        lines.append(f"... {len(rows) - len(kept)} more")
    return "\n".join(lines)


def aligned(names: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Return rows of text in columns, two spaces apart.

    Parameters
    ----------
    names
        Of the columns.
    rows
        One text per column.
    right
        Columns that are aligned to the right.
    """
    # Not a rich table: it takes 200 times as long, and cuts lines to the width of a terminal.
    texts = [*names, *(text for row in rows for text in row)]
    if all(text.isascii() and text.isprintable() for text in texts):
        cell_len: Callable[[str], int] = len
    else:
        from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            " " * (width - cell_len(cell)) + cell
            if name in right
            else cell + " " * (width - cell_len(cell))
            for cell, width, name in zip(cells, widths, names, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(names), *map(line, rows)])


def shown(value: object) -> str:
    """Return a value of the table as text; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def card(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return a title and one line for each fact.

    Examples
    --------
    >>> print(card("<B cell>", [("status", "ok"), ("confidence", "0.90")]))
    <B cell>
    status      ok
    confidence  0.90
    """
    width = max((len(name) for name, _ in facts), default=0)
    return "\n".join([title, *(f"{name:<{width}}  {value}" for name, value in facts)])


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    """Return a table for a notebook; every text is escaped.

    Parameters
    ----------
    columns
        Their names.
    rows
        One text per column.
    note
        A line below.
    """
    from html import escape

    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    below = f"<p>{escape(note)}</p>" if note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"
