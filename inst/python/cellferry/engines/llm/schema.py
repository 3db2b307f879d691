"""What a model must answer: one schema for annotators, one for the validator.

Descriptions are part of the question, because providers send them to the model.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field


def _texts(value: Any) -> Any:
    """Read one text as a list of one, and nothing as no text; never as letters."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    return value


def _nothing(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower() in {"", "null", "none", "n/a"}:
        return None
    return value


Texts = Annotated[list[str], BeforeValidator(_texts)]
OptionalText = Annotated[str | None, BeforeValidator(_nothing)]


class Answer(BaseModel):
    """The cell type of one cluster."""

    cluster_token: str = Field(description="The cluster token of the question, copied exactly.")
    main_type: str = Field(
        min_length=1,
        description="General cell type, or Unknown if the markers do not point to one.",
    )
    subtypes: Texts = Field(description="Up to three subtypes of it, the most likely first.")
    state: OptionalText = Field(description="State such as cycling or activated, or null.")
    mixed_types: Texts = Field(description="Other cell types that seem to be mixed in; or none.")
    supporting_genes: Texts = Field(description="Listed genes that support it, copied exactly.")
    conflicting_genes: Texts = Field(description="Listed genes that speak against it.")
    ontology_id: OptionalText = Field(description="Cell Ontology id, CL:0000000, or null.")
    ontology_label: OptionalText = Field(description="The label of that term, or null.")
    possible_tissues: Texts = Field(description="Likely tissues if the tissue is unknown.")
    confidence: float = Field(ge=0, le=1, description="How sure, from 0 to 1.")
    reasoning: str = Field(description="Why, in a few sentences.")


class Verdict(BaseModel):
    """Whether an annotation of one cluster holds."""

    cluster_token: str = Field(description="The cluster token of the question, copied exactly.")
    passed: bool = Field(description="Whether the annotation holds as it is.")
    problems: Texts = Field(description="What must be changed; none if it holds.")
    reasoning: str = Field(description="Why, in a few sentences.")
