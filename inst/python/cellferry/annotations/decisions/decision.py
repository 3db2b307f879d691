"""Decisions: what a person said about the label of a cluster, or of cells chosen by hand.

A decision belongs to a set of cells, known by the hash of their sorted names; without cells (a
marker table) by the name and the ranked genes of the cluster. Decisions are only ever added: the
last one counts, all stay in the history.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from ...biology.label_names import term_named
from ...biology.ontology import cell_ontology
from ...biology.text import normalized, plain_label, says_unknown, singular
from ...biology.text import ontology_id as text_id
from ...errors import (
    DecisionsFormatError,
    FreeTextLabelWarning,
    InvalidOptionError,
    counted,
    listing,
    nearest,
    warn,
)
from ..schema import check_schema, is_newer

if TYPE_CHECKING:
    from numpy.typing import NDArray

Action = Literal["accepted", "relabelled", "unknown", "needs_work", "withdrawn"]

ACTIONS: tuple[str, ...] = ("accepted", "relabelled", "unknown", "needs_work", "withdrawn")
STALE = "stale"
"""What the column says of a cluster for which an earlier decision is offered."""
DECIDED: tuple[str, ...] = ("accepted", "relabelled", "unknown", "needs_work", STALE)
"""The values of the metadata column ``<key>_decision``."""
LABELLING: tuple[str, ...] = ("accepted", "relabelled", "unknown")
"""Actions that put a label in force."""

SCHEMA = "cellferry.decisions/1"
"""Of a file of decisions."""
LONGEST_LABEL = 200
LONGEST_REASON = 10_000
UNKNOWN = "Unknown"
HASH_DIGITS = 32

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Offer:
    """Where the cells of a stale decision are now.

    Attributes
    ----------
    cluster
        The cluster that has most of them.
    of_decision
        Share of the cells of the decision that are in it; None where it is not known.
    of_cluster
        Share of its cells that the decision is about; None where it is not known.
    """

    cluster: str
    of_decision: float | None = None
    of_cluster: float | None = None


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes
    ----------
    id
        Of its content, so that the same decision from two files is one.
    action
        A word of :data:`ACTIONS`.
    at
        When, ISO 8601 in UTC.
    hash
        Of the set of cells, or of the name and the ranked genes of the cluster.
    basis
        Which of both.
    cluster
        Name of the cluster when it was decided; None where cells were chosen by hand.
    cells
        Their names, where cells were chosen by hand.
    n_cells
        How many cells it was about.
    label, ontology_id, ontology_label
        What was put in force; a label without an identifier is free text.
    reason, by
        As they were given.
    run
        The run that the labels were of.
    clusters
        Of the table that it is kept in: those for which it holds now.
    stale
        Whether it holds for none and is offered.
    offered
        To which cluster.
    before
        What cells had that were annotated one by one, column -> values in the order of ``cells``.
    origin
        The part of an object that it was made in, with what was added to the names of its cells.
    cells_at
        In place of ``cells``, from a page, which has no names: ``mask`` (base64, a bit for each
        cell of the object, the first cell lowest) and ``of`` (:func:`order_hash` of its cells).
    """

    id: str
    action: Action
    at: str
    hash: str
    basis: Literal["cells", "markers"] = "cells"
    cluster: str | None = None
    cells: tuple[str, ...] = ()
    n_cells: int | None = None
    label: str | None = None
    ontology_id: str | None = None
    ontology_label: str | None = None
    reason: str | None = None
    by: str | None = None
    run: str | None = None
    clusters: tuple[str, ...] = ()
    stale: bool = False
    offered: tuple[Offer, ...] = ()
    before: Mapping[str, list[Any]] = field(default_factory=dict)
    origin: str | None = None
    cells_at: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_cells(self) -> bool:
        """Whether it is about cells that were chosen by hand."""
        return self.cluster is None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, without what is empty."""
        # Not by asdict(), which copies each cell of a hundred thousand.
        made = {name: getattr(self, name) for name in _FIELDS}
        made["offered"] = tuple(asdict(o) for o in self.offered)
        made["before"] = {end: [*values] for end, values in self.before.items()}
        return {k: v for k, v in made.items() if v not in (None, (), {}, False)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Decision:
        """Read what :meth:`to_dict` wrote; members that are not known are left out.

        Raises
        ------
        DecisionsFormatError
            It is no decision.
        """
        if not isinstance(stored, Mapping):
            message = "an entry is no record"
            raise _damaged(message)
        made: dict[str, Any] = {k: v for k, v in stored.items() if k in _FIELDS}
        texts = ("action", "at", "hash")
        if not all(isinstance(made.get(name), str) for name in texts):
            message = f"an entry has no {listing([t for t in texts if t not in made])}"
            raise _damaged(message)
        if made["action"] not in ACTIONS:
            message = f'there is no decision "{made["action"]}"'
            raise _damaged(message)
        for name in (
            "cluster",
            "label",
            "ontology_id",
            "ontology_label",
            "reason",
            "by",
            "run",
            "origin",
        ):
            if not isinstance(made.get(name), str | None):
                message = f'"{name}" is no text'
                raise _damaged(message)
        if made["action"] == "relabelled" and not made.get("label"):
            message = "a cluster was relabelled, and there is no label"
            raise _damaged(message)
        for name in ("cells", "clusters"):
            values = made.get(name, ())
            if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
                message = f'"{name}" is no list of texts'
                raise _damaged(message)
            made[name] = tuple(values)
        places = made.get("cells_at") or {}
        if not isinstance(places, Mapping) or (
            places and not all(isinstance(places.get(name), str) for name in ("mask", "of"))
        ):
            message = '"cells_at" has no mask, or does not say of which cells'
            raise _damaged(message)
        if made.get("cluster") is None and not made["cells"] and not places:
            message = "an entry names neither a cluster nor cells"
            raise _damaged(message)
        made["offered"] = tuple(Offer(**o) for o in made.get("offered", ()))
        for name in ("label", "reason", "by"):
            if made.get(name) is not None:
                made[name] = checked_text(made[name], name)
        decision = cls(**{"id": "", **made})
        return decision if decision.id else replace(decision, id=identity(decision))


_FIELDS = tuple(f.name for f in fields(Decision))


def _damaged(why: str) -> DecisionsFormatError:
    return DecisionsFormatError(f"These are no decisions of cellferry: {why}.")


def identity(decision: Decision) -> str:
    """Return the id of a decision, of all that was decided."""
    content = [
        decision.action, decision.at, decision.hash, decision.cluster, decision.label,
        decision.ontology_id, decision.reason, decision.by,
    ]  # fmt: skip
    text = json.dumps(content, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def names_hash(names: Iterable[str]) -> str:
    """Return the hash of a set of cells, whatever their order.

    Examples
    --------
    >>> names_hash(["b", "a"]) == names_hash(["a", "b"]), len(names_hash(["a"]))
    (True, 32)
    """
    return sorted_hash(sorted(names))


def sorted_hash(names: Iterable[str]) -> str:
    """Return :func:`names_hash` of names that are sorted."""
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:HASH_DIGITS]


def order_hash(names: Iterable[str]) -> str:
    """Return the hash of the names of all cells in their order, by which places are known.

    Examples
    --------
    >>> order_hash(["a", "b"]) == order_hash(["b", "a"])
    False
    """
    return sorted_hash(names)


def located(decision: Decision, cells: Sequence[str], order: str) -> Decision | None:
    """Return a decision with the names of its cells, None where it is about other cells.

    Parameters
    ----------
    decision
        With ``cells_at``.
    cells
        Names of the cells of the object, in its order.
    order
        Their :func:`order_hash`.
    """
    if decision.cells_at["of"] != order:
        return None
    try:
        places = cells_of_mask(decision.cells_at["mask"], len(cells))
    except ValueError:
        return None
    if not len(places):
        return None
    names = tuple(cells[i] for i in places.tolist())
    return replace(decision, cells=names, n_cells=len(names), hash=names_hash(names), cells_at={})


def cells_of_mask(mask: str, n_cells: int) -> NDArray[np.intp]:
    """Return the places of the cells of a bit mask.

    Parameters
    ----------
    mask
        In base64; the lowest bit of the first byte is the first cell.
    n_cells
        Cells of the object.

    Raises
    ------
    ValueError
        It is no mask of so many cells; says what it must be.

    Examples
    --------
    >>> cells_of_mask("BQ==", 3).tolist()
    [0, 2]
    """
    try:
        content = base64.b64decode(mask, validate=True)
    except ValueError as error:
        message = "must be a bit mask in base64"
        raise ValueError(message) from error
    if len(content) != (n_cells + 7) // 8:
        message = f"must have a bit for each of {n_cells} cells, and has {8 * len(content)}"
        raise ValueError(message)
    bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
    if bits[n_cells:].any():
        message = "names cells that are not there"
        raise ValueError(message)
    return np.flatnonzero(bits[:n_cells])


def markers_hash(cluster: str, genes: Iterable[str]) -> str:
    """Return what a cluster of a marker table is known by: its name and its ranked genes."""
    return sorted_hash([cluster, *genes])


def markers_by_cluster(found: Any) -> dict[str, list[str]]:
    """Return cluster -> the ranked genes that annotations keep of it.

    Parameters
    ----------
    found
        Annotations.
    """
    genes: dict[str, list[str]] = {row.cluster: [] for row in found}
    for _, name, gene in found.ranked():
        genes.setdefault(name, []).append(gene)
    return genes


def by_now() -> str:
    """Return the time as it is kept."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def checked_text(text: str, name: str) -> str:
    """Return text of a person, in one line if it is a label.

    Raises
    ------
    InvalidOptionError
        It is empty, too long, or has characters that change how text is shown.
    """
    longest = LONGEST_REASON if name == "reason" else LONGEST_LABEL
    found = _CONTROL.search(text)
    if found is not None:
        message = f"`{name}` has the character U+{ord(found[0]):04X}, which is not text."
        raise InvalidOptionError(message, "Type it again without it.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"`{name}` is no valid Unicode text."
        raise InvalidOptionError(message, "Type it again.") from error
    text = text.strip() if name == "reason" else " ".join(text.split())
    if len(text) > longest:
        message = f"`{name}` has {len(text)} characters; at most {longest} are kept."
        raise InvalidOptionError(message, "Shorten it.")
    return text


@dataclass(frozen=True)
class Term:
    """A label of a person, with its term of the Cell Ontology if it has one."""

    label: str
    ontology_id: str | None = None
    ontology_label: str | None = None


def term_of(text: str, ontology_id: str | None = None, *, quiet: bool = False) -> Term:
    """Look a label up in the Cell Ontology: by id, label, synonym, plural.

    The words of the person stay. An id alone takes the name of its term.

    Parameters
    ----------
    text
        The label.
    ontology_id
        The term, where the person chose one.
    quiet
        Whether not to warn of free text.

    Raises
    ------
    InvalidOptionError
        It is empty or no text, or the id is none of the ontology.

    Examples
    --------
    >>> term_of("Kupffer cells").ontology_id, term_of("CL:0000236").label
    ('CL:0000091', 'B cell')
    """
    label = checked_text(text, "label")
    if not label:
        message = "A label is empty."
        raise InvalidOptionError(message, 'Say what it is, or "Unknown".')
    ontology = cell_ontology()
    if ontology_id is not None:
        match = ontology.find(ontology_id)
        if match is None or match.how != "id":
            message = f'"{ontology_id}" is no term of the Cell Ontology.'
            raise InvalidOptionError(message, "Leave it out, and the label is looked up.")
        return Term(label, match.term.id, match.term.label)
    term = term_named(label) or term_named(plain_label(label))
    if term is not None:
        name = ontology[term].label
        return Term(name if text_id(label) else label, term, name)
    if not quiet:
        near = near_terms(label)
        message = f'"{label}" is no term of the Cell Ontology, and is kept as free text.'
        hint = f"Near are: {listing([f'{t.label} ({t.id})' for t in near])}." if near else ""
        warn(FreeTextLabelWarning(message, hint))
    return Term(label)


def near_terms(text: str, most: int = 3) -> list[Any]:
    """Return terms of the Cell Ontology whose names are near to a text.

    Parameters
    ----------
    text
        A label that is none.
    most
        How many.
    """
    import difflib

    ontology = cell_ontology()
    wanted = singular(normalized(text))
    names: dict[str, str] = {}
    for term in ontology.terms.values():
        if not term.obsolete:
            names.setdefault(normalized(term.label), term.id)
    close = difflib.get_close_matches(wanted, names, n=most, cutoff=0.8)
    if len(close) < most:
        words = set(wanted.split())
        inside = [n for n in names if len(words) > 1 and words <= set(n.split())]
        close += [n for n in sorted(inside, key=len) if n not in close]
    return [ontology[names[n]] for n in close[:most]]


@dataclass(frozen=True)
class Wanted:
    """What a person wants for one cluster, or for cells: a label, or another decision.

    Attributes
    ----------
    quiet
        Whether free text is taken without a warning, which looks for near terms.
    """

    label: str | None = None
    action: str | None = None
    ontology_id: str | None = None
    reason: str | None = None
    by: str | None = None
    quiet: bool = False


def action_of(wanted: Wanted, engine_label: str | None, what: str) -> tuple[Action, Term | None]:
    """Return what is decided: the engine's label taken over is ``accepted``.

    Parameters
    ----------
    wanted
        What was given.
    engine_label
        What the engine says.
    what
        For messages: ``cluster "3"``.

    Raises
    ------
    InvalidOptionError
        Label and decision contradict each other.
    """
    action = wanted.action
    if action is not None and action not in ACTIONS:
        guess = nearest(action, list(ACTIONS))
        hint = f'Did you mean "{guess}"?' if guess else f"Valid: {listing(list(ACTIONS))}."
        message = f'There is no decision "{action}".'
        raise InvalidOptionError(message, hint)
    if action in {"needs_work", "withdrawn"}:
        return cast("Action", action), None
    label = wanted.label
    if label is not None and not label.strip():
        message = f"The label for {what} is empty."
        raise InvalidOptionError(message, 'Say what it is, or "Unknown".')
    if action == "accepted" and label is None:
        if engine_label is None:
            message = f"The engine gave {what} no label that could be accepted."
            raise InvalidOptionError(message, "Give it one.")
        label = engine_label
    if action == "unknown" or (label is not None and action is None and _is_unknown(label)):
        return "unknown", Term(UNKNOWN)
    if label is None:
        message = f"There is no label for {what}."
        raise InvalidOptionError(message, 'Give one, or "Unknown".')
    same = label == engine_label
    if same and label == UNKNOWN:
        return "unknown", Term(UNKNOWN)
    term = term_of(label, wanted.ontology_id, quiet=same or wanted.quiet)
    return ("accepted" if same else "relabelled"), term


def _is_unknown(label: str) -> bool:
    return says_unknown(unicodedata.normalize("NFKC", label))


def last_decisions(decisions: Sequence[Decision]) -> dict[str, Decision]:
    """Return cluster -> the decision that counts; a withdrawal is one."""
    found: dict[str, Decision] = {}
    for decision in decisions:
        if not decision.of_cells:
            found.update(dict.fromkeys(decision.clusters, decision))
    return found


def open_offers(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the stale decisions: those that nothing later about the same cells has replaced."""
    return [d for d in decisions if d.stale and d.action != "withdrawn"]


def described(decision: Decision) -> str:
    """Return a decision in words, for messages.

    Examples
    --------
    >>> described(Decision("1", "relabelled", "", "", cluster="3", label="B cell"))
    'cluster "3": B cell'
    """
    cells = counted(len(decision.cells) or decision.n_cells or 0, "cell")
    what = cells if decision.of_cells else f'cluster "{decision.cluster}"'
    return f"{what}: {decision.label or decision.action.replace('_', ' ')}"


def to_file(decisions: Sequence[Decision], key: str, run: str | None) -> str:
    """Return the text of a file of decisions.

    Parameters
    ----------
    decisions
        What is to be taken to another object.
    key
        Name of the label column.
    run
        The run that the labels are of.
    """
    kept = [
        {k: v for k, v in d.to_dict().items() if k not in {"clusters", "stale", "offered"}}
        for d in decisions
    ]
    content = {"schema": SCHEMA, "key": key, "run": run, "decisions": kept}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def from_file(text: str) -> tuple[list[Decision], str | None, str | None]:
    """Read a file of decisions: the decisions, the key and the run.

    The lines of a run's ``decisions.jsonl`` are read too.

    Raises
    ------
    DecisionsFormatError
        It is none, or it is damaged.
    AnnotationsFormatError
        A newer version wrote it.
    """
    if not text.strip():
        message = "the file is empty"
        raise _damaged(message)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = _lines(text)
    if isinstance(content, list):
        content = {"schema": SCHEMA, "decisions": content}
    if not isinstance(content, Mapping) or "schema" not in content:
        message = "there is no schema"
        raise _damaged(message)
    if is_newer(content["schema"], SCHEMA):
        check_schema(content["schema"], SCHEMA)
    if content["schema"] != SCHEMA:
        message = f'the schema is "{content["schema"]}", not "{SCHEMA}"'
        raise _damaged(message)
    entries = content.get("decisions")
    if not isinstance(entries, list):
        message = "there is no list of decisions"
        raise _damaged(message)
    try:
        made = [Decision.from_dict(entry) for entry in entries]
    except TypeError as error:
        raise _damaged(str(error)) from error
    key, run = content.get("key"), content.get("run")
    return made, key if isinstance(key, str) else None, run if isinstance(run, str) else None


def _lines(text: str) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        message = "it is no JSON"
        raise _damaged(message) from error
