"""The cells of a part in the whole: by their exact names, or by what was put before or after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InvalidOptionError, MergeError, counted, in_language, listing

SAMPLED = 5
"""Cells of a part whose names are looked for in all names of the whole."""
CANDIDATES = 20
"""Prefixes and suffixes that are counted out."""


@dataclass(frozen=True)
class Affix:
    """What was put before and after the names of a part's cells.

    Examples
    --------
    >>> Affix("A_").of("cell"), Affix("", "-0").id, Affix("A_").id
    ('A_cell', '-0', 'A')
    """

    before: str = ""
    after: str = ""

    def of(self, cell: str) -> str:
        """Return the name that a cell has in the whole."""
        return self.before + cell + self.after

    @property
    def id(self) -> str:
        """What is given to ``add_cell_ids`` for it."""
        return self.after or self.before.removesuffix("_")

    @property
    def words(self) -> str:
        """How it is named in messages."""
        if self.after:
            return f'"{self.after}" after it'
        return f'"{self.before}" before it' if self.before else "nothing added"

    @property
    def is_none(self) -> bool:
        """Whether the names are the same."""
        return not self.before and not self.after


def forms(given: str) -> list[Affix]:
    """Return what an entry of ``add_cell_ids`` may mean, the likeliest first.

    Parameters
    ----------
    given
        ``A`` is ``A_cell``, as merge(add.cell.ids =) writes it, or ``cell_A`` or ``cell-A``;
        ``_1`` is ``cell_1``; nothing is the name as it is.
    """
    if not given:
        return [Affix()]
    found = [Affix(given + "_")]
    if not given[0].isalnum():
        found.append(Affix("", given))
    if not given[-1].isalnum():
        found.append(Affix(given))
    return [*found, Affix("", "_" + given), Affix("", "-" + given)]


def affixes(
    names: Sequence[str],
    parts: Sequence[Sequence[str]],
    whole: Sequence[str],
    ids: Sequence[str] | None,
) -> list[Affix]:
    """Return for each part what was put before or after the names of its cells.

    Parameters
    ----------
    names, parts
        Of the parts, and of the cells of each.
    whole
        Names of the cells of the whole.
    ids
        What the user said was put there, one for each part; None: nothing.

    Raises
    ------
    MergeError
        A part has no cell in the whole, or a prefix or suffix that was not given explains which.
    InvalidOptionError
        There are not as many ids as parts.
    """
    known = set(whole)
    if ids is not None:
        if len(ids) != len(parts):
            given = "1 entry" if len(ids) == 1 else f"{len(ids)} entries"
            message = f"`add_cell_ids` has {given} for {counted(len(parts), 'part')}."
            raise InvalidOptionError(message, 'Give one for each part; "" for names as they are.')
        return [_given(*part, known) for part in zip(names, parts, ids, strict=True)]
    exact = [sum(cell in known for cell in cells) for cells in parts]
    found: list[Affix] = []
    needed = []
    for name, cells, n in zip(names, parts, exact, strict=True):
        best = Affix() if n == len(cells) else _detected(cells, whole, known, n, found)
        found.append(best)
        if not best.is_none:
            count = sum(best.of(cell) in known for cell in cells)
            needed.append(
                f'Of the part "{name}" {_of(n, len(cells))} in the object by their names, and '
                f"{count} with {best.words}."
            )
        elif not n:
            raise _none(name, cells, whole)
    if needed:
        chosen = [a.id for a in found]
        texts = ", ".join(f'"{x}"' for x in chosen)
        own = ", ".join(names)
        line = in_language(
            python=f"cellferry.merge_annotations(adata, [{own}], add_cell_ids=[{texts}])",
            r=f"x <- MergeAnnotations(x, {own}, add.cell.ids = c({texts}))",
            cli=f"add_cell_ids = {texts}",
        )
        raise MergeError(" ".join(needed), f"If that is how they were named: {line}", ids=chosen)
    return found


def _of(n: int, total: int) -> str:
    return f"{n or 'none'} of {counted(total, 'cell')} {'is' if n in (0, 1) else 'are'}"


def _given(name: str, cells: Sequence[str], given: str, known: set[str]) -> Affix:
    counts = [(sum(form.of(cell) in known for cell in cells), form) for form in forms(given)]
    n, best = max(counts, key=lambda pair: pair[0])
    if not n:
        message = (
            f'None of the {counted(len(cells), "cell")} of the part "{name}" is in the object as '
            f"{listing([form.of(cells[0]) for _, form in counts])}."
        )
        raise MergeError(message, "Look at the names of the cells of both.")
    return best


def _none(name: str, cells: Sequence[str], whole: Sequence[str]) -> MergeError:
    message = f'None of the {counted(len(cells), "cell")} of the part "{name}" is in the object.'
    hint = (
        f"Its cells are {listing(list(cells[:2]))}, those of the object {listing(list(whole[:2]))}."
    )
    return MergeError(message, hint)


def _detected(
    cells: Sequence[str],
    whole: Sequence[str],
    known: set[str],
    exact: int,
    used: Sequence[Affix],
) -> Affix:
    """Return the prefix or suffix that explains more cells than their names do, else none."""
    step = max(1, len(cells) // SAMPLED)
    found: Counter[Affix] = Counter()
    for cell in cells[::step][:SAMPLED]:
        for name in whole:
            if len(name) <= len(cell):
                continue
            if name.endswith(cell) and not name[-len(cell) - 1].isalnum():
                found[Affix(name[: -len(cell)])] += 1
            if name.startswith(cell) and not name[len(cell)].isalnum():
                found[Affix("", name[len(cell) :])] += 1
    best, most = Affix(), (exact, True)
    for form, _ in found.most_common(CANDIDATES):
        n = (sum(form.of(cell) in known for cell in cells), form not in used)
        # Of two that explain as much it is the one that no part before has.
        if n[0] > exact and n > most:
            best, most = form, n
    return best
