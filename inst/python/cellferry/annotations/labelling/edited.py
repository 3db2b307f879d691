"""Labels that were edited by hand: how that is known, and the line that keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import LabelsEditedError, counted, in_language
from ..decisions.decision import sorted_hash
from ..texts import Texts
from .labels import Labels


def digests(cells: Sequence[str], labels: Texts) -> dict[str, str]:
    """Return what is remembered of labels that were written: of the cells, and of both.

    Another ``labels`` over the same ``cells`` means that somebody edited them by hand.

    Examples
    --------
    >>> one = digests(["b", "a"], Texts.of(["T cell", None]))
    >>> one == digests(["a", "b"], Texts.of([None, "T cell"]))
    True
    """
    names = [*labels.levels, None]
    order = sorted(range(len(cells)), key=cells.__getitem__)
    ordered = [cells[i] for i in order]
    own = [names[int(labels.codes[i])] for i in order]
    both = (f"{c}\t{'-' if x is None else '+' + x}" for c, x in zip(ordered, own, strict=True))
    return {"cells": sorted_hash(ordered), "labels": sorted_hash(both)}


def check_unedited(labels: Labels, *, overwrite: bool = False) -> None:
    """Refuse to replace labels that were edited by hand; where it can't be judged, nothing is said.

    Parameters
    ----------
    labels
        What the object has under the key.
    overwrite
        Whether they may be replaced.

    Raises
    ------
    LabelsEditedError
        Names how many cells differ, and the line that adopts the edits.
    """
    known = labels.record.provenance.get("written")
    if overwrite or not isinstance(known, Mapping) or labels.key not in labels.obs:
        return
    found = digests(labels.cells, labels.column(""))
    if found["cells"] != known.get("cells") or found["labels"] == known.get("labels"):
        return
    raise edited_error(labels.key, int(labels.edited.sum()))


def edited_error(key: str, n: int) -> LabelsEditedError:
    """Return the error for labels that were edited by hand.

    Parameters
    ----------
    key
        Name of the label column.
    n
        How many cells differ; 0 where it is not known.
    """
    cells = counted(n, "cell") if n else "Cells"
    verb = "has" if n == 1 else "have"
    message = (
        f'{cells} {verb} another label in "{key}" than cellferry wrote: they were edited by hand, '
        "and are not replaced."
    )
    hint = f"{to_adopt(key)}\nTo lose them: `overwrite=True`."
    return LabelsEditedError(message, hint, columns=[key], cells=n)


def to_adopt(key: str, name: str | None = None) -> str:
    """Return the line that makes decisions of edits by hand.

    Parameters
    ----------
    key
        Name of the label column.
    name
        What the object is called, if that is known.
    """
    line = in_language(
        python=f'cellferry.set_labels({name or "adata"}, from_column="{key}", key="{key}")',
        r=f'{name or "x"} <- SetLabels({name or "x"}, from = "{key}", key = "{key}")',
        cli=f"cellferry label INPUT --from-column {key} --key {key} --out NAME",
    )
    return f"To keep them as decisions: {line}"
