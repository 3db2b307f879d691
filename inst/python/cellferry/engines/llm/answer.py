"""From a conversation to the row of its cluster, by way of what the journal keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...annotations.clusters import UNKNOWN
from ...biology.ontology import cell_ontology
from ...files import Json
from ..base import Payload
from .checks import resolved_term

if TYPE_CHECKING:
    from .conversation import Conversation
    from .endpoints import Endpoint
    from .replies import Answer

ENGINE = "llm"


def payload_of(made: Conversation, endpoint: Endpoint) -> Payload:
    """Return the row and the evidence of a conversation.

    Parameters
    ----------
    endpoint
        That of the annotator.
    """
    answer = made.answer
    row: dict[str, Json] = {
        "cluster": made.question.cluster,
        "engine": ENGINE,
        "model": made.model or endpoint.model,
        "provider": endpoint.provider,
        "n_markers": len(made.question.genes),
        "iterations": len(made.rounds) or None,
        **made.usage._asdict(),
        "seconds": made.seconds,
    }
    if made.outcome == "failed" or answer is None:
        row.update(status="failed", error=made.error or "No answer came.")
    elif made.outcome == "passed":
        row.update(_known(answer), status="ok")
    else:
        row.update(_unknown(made, answer), status="unknown", label=UNKNOWN)
    evidence: dict[str, Json] = {
        "genes": list(made.question.genes),
        "token": made.question.token,
        "outcome": made.outcome,
        "answer": None if answer is None else answer.model_dump(),
        "rounds": [r._asdict() for r in made.rounds],
        "conversation": made.messages,
        **({"lookups": made.lookups} if made.lookups else {}),
        **({"remarks": list(made.question.remarks)} if made.question.remarks else {}),
    }
    return {"annotation": row, "evidence": evidence}


def _known(answer: Answer) -> dict[str, Json]:
    term = resolved_term(answer)
    subtypes = [s for s in answer.subtypes if s != answer.main_type]
    return {
        "label": answer.main_type.strip(),
        "detail": subtypes[0] if subtypes else None,
        "state": answer.state,
        "ontology_id": term,
        "ontology_label": None if term is None else cell_ontology()[term].label,
        "confidence": answer.confidence,
        "confidence_kind": None if answer.confidence is None else "stated",
        "alternatives": subtypes[1:],
        "mixed": answer.mixed_types,
        "supporting": answer.supporting_genes,
        "conflicting": answer.conflicting_genes,
        "justification": answer.reasoning,
    }


def _unknown(made: Conversation, answer: Answer) -> dict[str, Json]:
    listed = set(made.known.genes)
    if made.outcome == "abstained":
        return {
            "alternatives": answer.subtypes,
            "mixed": answer.mixed_types,
            "justification": answer.reasoning,
        }
    problems = made.rounds[-1].problems
    return {
        "error": f"No answer passed in {len(made.rounds)} rounds: {' '.join(problems)}",
        "alternatives": [answer.main_type, *answer.subtypes],
        # What was made up is not repeated as evidence.
        "supporting": [g for g in answer.supporting_genes if g in listed],
        "conflicting": [g for g in answer.conflicting_genes if g in listed],
        "justification": answer.reasoning,
    }
