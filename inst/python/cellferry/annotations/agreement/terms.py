"""What a label means: a term of the Cell Ontology, or a term of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...biology.label_names import written_by_tools
from ...biology.ontology import Ontology, cell_ontology
from ...biology.text import normalized, plain_label, says_unknown, singular
from ...errors import InvalidOptionError, listing
from ..decisions.decision import near_terms
from ..levels import term_of

TEXT = "text:"
"""Begins what stands for a label without a term of the ontology."""

NO_LABELS = frozenset({"heterogeneous", "rejected", "ambiguous", "doublet", "low quality"})
"""What tools write where they have no label, beside what :func:`says_unknown` knows."""


def is_text(term: str) -> bool:
    """Whether a term is a label without a term of the ontology.

    Examples
    --------
    >>> is_text("text:cluster 7"), is_text("CL:0000236")
    (True, False)
    """
    return term.startswith(TEXT)


def ontology_term(term: str | None) -> str | None:
    """Return the id of a term, None for a text."""
    return None if term is None or is_text(term) else term


def folded(label: str) -> str:
    """Return a label without case, blanks, hyphens and plural: texts that are so equal are one.

    Examples
    --------
    >>> folded(" My  Cells"), folded("my-cell")
    ('my cell', 'my cell')
    """
    text = normalized(plain_label(label))
    # Once more where a plural ending stood alone: what is folded is not folded further.
    while (shorter := singular(text).strip()) != text:
        text = shorter
    return text


class Resolver:
    """Finds the terms of labels, and keeps which labels have none.

    Parameters
    ----------
    mapping
        What the user says: label -> id or name of a term. Comes before all else.

    Raises
    ------
    InvalidOptionError
        The mapping names what is no term.

    Examples
    --------
    >>> found = Resolver({"Mono2": "CL:0000576"})
    >>> found.term("mono2"), found.term("NK cells"), found.term("Cluster 7")
    ('CL:0000576', 'CL:0000623', 'text:cluster 7')
    >>> found.unresolved
    ['Cluster 7']
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self._mapping: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        for text, wanted in (mapping or {}).items():
            term = term_of(str(wanted)) if isinstance(wanted, str) else None
            if term is None:
                message = f'`mapping` has {wanted!r} for "{text}", which is no term.'
                near = listing([f"{t.label} ({t.id})" for t in near_terms(str(wanted))])
                hint = f"Near are: {near}." if near else 'Give an id, as "CL:0000236", or a name.'
                raise InvalidOptionError(message, hint)
            self._mapping[folded(str(text))] = term

    def term(self, label: str | None, ontology_id: str | None = None) -> str | None:
        """Return the term of a label, None where it is no vote: missing, or says unknown.

        Parameters
        ----------
        label
            As the tool wrote it.
        ontology_id
            Its term, where the tool wrote one too; says more than the label.
        """
        if label is None or says_unknown(label) or normalized(label) in NO_LABELS:
            return None
        name = folded(label)
        known = self._mapping.get(name)
        if known is None and ontology_id is not None and ontology_id in cell_ontology():
            known = term_of(label, ontology_id)
        known = known or term_of(label) or written_by_tools(plain_label(label))
        if known is not None:
            return known
        self._texts.setdefault(name, label)
        return TEXT + name

    @property
    def unresolved(self) -> list[str]:
        """Labels without a term, as they were first written."""
        return sorted(self._texts.values())

    def explained(self, most: int = 10) -> dict[str, list[str]]:
        """Return labels without a term, up to `most`, with the terms whose names are near."""
        return {x: [f"{t.label} ({t.id})" for t in near_terms(x)] for x in self.unresolved[:most]}


def broader(terms: Iterable[str], ontology: Ontology | None = None) -> dict[str, set[str]]:
    """Return for each term those that it is a kind of, itself among them.

    Parameters
    ----------
    terms
        Ids, and texts, which are kinds of themselves alone.
    ontology
        None is the Cell Ontology.
    """
    known = cell_ontology() if ontology is None else ontology
    return {t: {t} if is_text(t) else {t, *known.ancestors(t)} for t in terms}
