"""Deterministic checks of an answer, before any model is asked what it thinks of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...biology.ontology import ROOT, cell_ontology
from ...biology.text import (
    listed_name,
    normalized,
    ontology_id,
    same_token,
    says_unknown,
    singular,
)
from ...errors import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .questions import Question
    from .replies import Answer

AGREEMENT = 1
"""Steps in the ontology within which two annotators agree: the same term, or parent and child."""


def mended(answer: Answer, question: Question) -> Answer:
    """Return an answer as it is meant, so that it is not paid for again because of its spelling.

    The token and the genes become those of the question, the label is in the singular or, in
    another language, the name of its term. An id that names no term in use is left out: it is
    optional, and the label has a term of its own.
    """
    token = question.token if same_token(answer.cluster_token, question.token) else None
    term = _term_in_use(answer.ontology_id)
    changed: dict[str, object] = {
        "cluster_token": token or answer.cluster_token,
        "supporting_genes": _listed_genes(answer.supporting_genes, question),
        "conflicting_genes": _listed_genes(answer.conflicting_genes, question),
        "ontology_id": term,
        "ontology_label": answer.ontology_label if term else None,
    }
    if not is_unknown(answer):
        changed["main_type"] = _name_of(answer, term)
    return answer.model_copy(update=changed)


def without_id(answer: Answer) -> Answer:
    """Return an answer without its ontology id."""
    return answer.model_copy(update={"ontology_id": None, "ontology_label": None})


def _listed_genes(genes: Sequence[str], question: Question) -> list[str]:
    return list(dict.fromkeys(listed_name(g, question.genes) or g for g in genes))


def _term_in_use(identifier: str | None) -> str | None:
    """Return the term in use that an id stands for; leading zeros and ``CL:`` may be missing."""
    if identifier is None:
        return None
    ontology = cell_ontology()
    wanted = ontology_id(identifier)
    if wanted is None and (short := re.match(r"\W*(?:CL[:_ ]\s*)?0*(\d{1,7})\b", identifier, re.I)):
        wanted = f"CL:{short[1]:0>7}"
    return ontology.current(wanted) if wanted is not None else None


def _name_of(answer: Answer, term: str | None) -> str:
    label = answer.main_type
    if (match := cell_ontology().find(label)) is not None:
        return singular(label) if match.how == "plural" else label
    if term is None or term_of(label) is not None:
        return label
    # No part of it is in the ontology, which is English.
    name = cell_ontology()[term].label
    shared = set(normalized(label).split()) & set(normalized(name).split()) - {"cell"}
    if any(len(word) >= 4 for word in shared):
        return label
    stated = cell_ontology().find(answer.ontology_label or "")
    same = stated is not None and stated.term.id == term
    return name if same or shared or not label.isascii() else label


def check_answer(answer: Answer, question: Question) -> list[str]:
    """Return what is wrong with an answer, as sentences for the model; none if it may pass."""
    if answer.cluster_token.strip() != question.token:
        # Nothing else of it can be about this cluster.
        given = answer.cluster_token.strip()[:40]
        return [f'The cluster token must be "{question.token}", and the answer has "{given}".']
    problems = []
    listed = set(question.genes)
    for role, genes in (
        ("supporting", answer.supporting_genes),
        ("conflicting", answer.conflicting_genes),
    ):
        invented = [g for g in dict.fromkeys(genes) if g not in listed]
        if invented:
            problems.append(f"These {role} genes are not in the list: {listing(invented)}.")
    if is_unknown(answer):
        return problems
    if not answer.supporting_genes:
        problems.append("No supporting gene is cited.")
    problem = ontology_problem(answer.main_type, answer.subtypes, answer.ontology_id)
    return [*problems, problem] if problem else problems


def is_unknown(answer: Answer) -> bool:
    """Whether the model abstained."""
    return says_unknown(answer.main_type)


def ontology_problem(main_type: str, subtypes: Sequence[str], identifier: str | None) -> str | None:
    """Return what is wrong with an ontology id for a label, or None.

    The term must exist, be in use, and be the term of the main type (or of a subtype), or an
    ancestor or descendant of it. A label of which no part is in the ontology cannot be
    compared; the term's own words must then be in it.

    Examples
    --------
    >>> ontology_problem("B cell", [], "CL:0000084")
    'The ontology term CL:0000084 is "T cell", which is not "B cell" or a kind of it.'
    """
    if identifier is None:
        return None
    ontology = cell_ontology()
    wanted = ontology_id(identifier)
    if wanted is None or wanted not in ontology:
        return f'There is no term "{identifier[:40]}" in the Cell Ontology.'
    current = ontology.current(wanted)
    if current is None:
        return f"The ontology term {wanted} is obsolete."
    label = ontology[current].label
    meant = [t for t in map(term_of, (main_type, *subtypes[:1])) if t is not None]
    if any(ontology.related(current, term) for term in meant):
        return None
    if not meant and set(normalized(label).split()) & set(normalized(main_type).split()) - {"cell"}:
        return None
    return f'The ontology term {current} is "{label}", which is not "{main_type}" or a kind of it.'


def term_of(label: str) -> str | None:
    """Return the term of a label, or of the longest part of it that the ontology knows.

    The head of an English name comes last, so words are dropped from its beginning.

    Examples
    --------
    >>> term_of("cycling germinal B cells (dark zone)") == term_of("B cell")
    True
    """
    words = re.sub(r"\([^)]*\)", " ", label).split()
    for start in range(len(words)):
        match = cell_ontology().find(" ".join(words[start:]))
        if match is not None:
            # "cell" is the head of everything and says nothing.
            return None if match.term.id == ROOT else match.term.id
    return None


def resolved_term(answer: Answer) -> str | None:
    """Return the id an answer stands for: its own if it is valid, else that of its label."""
    if answer.ontology_id is not None:
        wanted = ontology_id(answer.ontology_id)
        if wanted is not None and wanted in cell_ontology():
            return cell_ontology().current(wanted)
    return term_of(answer.main_type)


def disagreement(answer: Answer, other: Answer) -> str | None:
    """Return in words how far two independent answers are apart, or None if they agree."""
    if normalized(answer.main_type) == normalized(other.main_type):
        return None
    one, two = resolved_term(answer), resolved_term(other)
    second = (
        f'A second reader, who did not see the answer, calls it "{other.main_type}": '
        f"{other.reasoning}"
    )
    if one is None or two is None:
        return f"{second} The two names cannot be compared in the Cell Ontology."
    steps = cell_ontology().distance(one, two)
    if steps is not None and steps <= AGREEMENT:
        return None
    far = "not related" if steps is None else f"{steps} steps apart"
    return f"{second} In the Cell Ontology the two are {far}."
