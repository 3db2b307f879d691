"""The colours of labels in stored records and in AnnData: read, chosen by hand, handed to scanpy.

A record keeps own colours in its provenance; the others follow from its labels (:mod:`.palette`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .clusters import Annotations
from .levels import lineage_order
from .palette import STORED, Tone, check_own, colours, colours_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLORS = "_colors"
"""What scanpy adds to the name of a column for its colours in ``uns``."""


def as_hex(tones: Mapping[str, Tone], *, dark: bool = False) -> dict[str, str]:
    """Return label -> colour for one page."""
    return {label: tone.dark if dark else tone.light for label, tone in tones.items()}


def with_colors(json_text: str, chosen: Mapping[str, str]) -> str:
    """Return a stored record with own colours; those of other labels stay as they are.

    Parameters
    ----------
    json_text
        What is stored under a key.
    chosen
        Label -> ``#rrggbb``.

    Raises
    ------
    InvalidOptionError
        There is no such label, or a value is no colour.
    AnnotationsFormatError
        It is no record that this version reads.
    """
    own = check_own(chosen, Annotations.from_json(json_text).column("label"))
    return _stored(json_text, {**_own(json_text), **own})


def keep_colors(json_text: str, before: object) -> str:
    """Return a new record with the own colours of the one that it replaces, where labels stay.

    Parameters
    ----------
    json_text
        The new record.
    before
        The one that was stored under the same key, None if there was none.
    """
    own = _own(before)
    if not own:
        return json_text
    labels = set(Annotations.from_json(json_text).column("label"))
    kept = {label: colour for label, colour in own.items() if label in labels}
    return _stored(json_text, {**kept, **_own(json_text)}) if kept else json_text


def uns_colors(json_text: str, categories: Iterable[object]) -> NDArray[np.object_]:
    """Return colours in the order of categories, as scanpy keeps them in ``uns``.

    Parameters
    ----------
    json_text
        The record of the labels.
    categories
        Those of the label column; one that the record does not have has a colour all the same.
    """
    names = [str(x) for x in categories]
    found = ordered_colors(json_text, names)
    return np.array([found[name] for name in names], dtype=object)


def ordered_colors(
    json_text: str | None, labels: Iterable[str] | None = None, *, dark: bool = False
) -> dict[str, str]:
    """Return labels in lineage order, each with its colour.

    Parameters
    ----------
    json_text
        The record of the labels, None where there is none.
    labels
        Those that are wanted; None are those of the record.
    dark
        For a dark page.

    Examples
    --------
    >>> ordered_colors(None, ["B cell", "T cell"])
    {'T cell': '#0072b2', 'B cell': '#540c00'}
    """
    return as_hex(ordered_tones(json_text, labels), dark=dark)


def ordered_tones(json_text: str | None, labels: Iterable[str] | None = None) -> dict[str, Tone]:
    """Return labels in lineage order, each with its colours on both pages.

    Parameters
    ----------
    json_text, labels
        As of :func:`ordered_colors`.
    """
    found = None if json_text is None else Annotations.from_json(json_text)
    known = {} if found is None else colours_of(found)
    terms = {} if found is None else terms_of(found)
    wanted = list(known if labels is None else labels)
    order = lineage_order(wanted, [terms.get(label) for label in wanted])
    others = colours([label for label in order if label not in known])
    return {label: known.get(label) or others[label] for label in order}


def terms_of(found: Annotations) -> dict[str, str]:
    """Return label -> id of its term, for labels that have one."""
    return {row.label: row.ontology_id for row in found if row.label and row.ontology_id}


def _own(json_text: object) -> dict[str, str]:
    """Return the own colours of a record; none where it cannot be read."""
    try:
        kept: Any = json.loads(str(json_text))["provenance"][STORED]
        return {str(label): str(colour) for label, colour in kept.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _stored(json_text: str, own: Mapping[str, str]) -> str:
    # Only this entry is touched, so that a record keeps what other versions wrote.
    content = json.loads(json_text)
    content["provenance"] = {**content.get("provenance", {}), STORED: dict(own)}
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
