"""Evidence: what the annotator asks to have looked up in the data before it answers.

A request is a tool that the model calls, or a field of its reply, and names genes and columns
of the metadata. It is bounded, answered from the study's lookup in the words of
``prompts/``, and takes the place of no answer: after the last round the model is asked
without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, Field

from ...errors import counted, listing
from .questions import OTHER_CLUSTERS, fill
from .replies import Answer, UnreadableReplyError, read_answer
from .replies.forms import Genes, Sentences
from .replies.lenient import read_value

if TYPE_CHECKING:
    from ...files import Json
    from ...study.expression.lookup import Composition, Figures, Lookup
    from .questions import Question

TOOL = "evidence"
MOST_GENES = 20
"""Genes of one request."""
MOST_COLUMNS = 3
MOST_VALUES = 12
"""Values of a column that are shown, the most frequent ones."""
LONGEST_VALUE = 60


class EvidenceRequest(BaseModel):
    """Look figures up in the data of this study before you answer."""

    genes: Genes = Field(description=f"Gene symbols, at most {MOST_GENES}.")
    columns: Sentences = Field(description="Columns of the metadata, of those that were offered.")


class AnswerOrRequest(Answer):
    """The cell type of one cluster, or what is to be looked up before it is named."""

    evidence: EvidenceRequest | None = Field(
        description="What to look up first; the rest of this reply then does not count. Else null."
    )


def _as_request(value: object) -> object:
    """Read a list or a text as genes, and JSON in a text as what it is."""
    if isinstance(value, str) and value.strip():
        try:
            value = read_value(value) if value.strip()[0] in "{[" else {"genes": value}
        except ValueError:
            return value
    return {"genes": value} if isinstance(value, list) else value


class _Asked(BaseModel):
    genes: Genes = Field(default_factory=list)
    columns: Sentences = Field(default_factory=list)


class _Reply(BaseModel):
    evidence: Annotated[_Asked, BeforeValidator(_as_request)]


def request_in(names: Sequence[str], calls: Sequence[str], text: str) -> EvidenceRequest | None:
    """Return what a reply asks to have looked up; None if it answers, or says nothing of it.

    Parameters
    ----------
    names, calls
        Name and arguments of each tool call. One that answers counts before one that asks.
    text
        The reply, where there is no call.

    Examples
    --------
    >>> request_in(["evidence"], ['{"genes": ["CD8A"]}'], "").genes
    ['CD8A']
    >>> request_in([], [], '{"main_type": "T cell", "evidence": null}') is None
    True
    """
    asking = [name == TOOL for name in names]
    if any(asking) and not all(asking):
        return None
    texts = [_as_field(arguments) for arguments in calls] if any(asking) else list(calls) or [text]
    try:
        asked = read_answer(texts, _Reply).evidence
    except UnreadableReplyError:
        return None
    if not asked.genes and not asked.columns:
        return None
    return EvidenceRequest(genes=asked.genes, columns=asked.columns)


def _as_field(arguments: str) -> str:
    """Return the arguments of the tool as the field of a reply; they may have been that before."""
    try:
        given = read_value(arguments)
    except ValueError:
        return arguments
    if isinstance(given, dict) and TOOL in given:
        return arguments
    return json.dumps({TOOL: given})


@dataclass(frozen=True)
class Evidence:
    """What may be looked up for the annotator of a study.

    Attributes
    ----------
    lookup
        Where.
    rounds
        How often for each cluster.
    columns
        Columns of the metadata that may be named.
    contrast
        The clusters in the order in which a question lists the others, without their names;
        none where it does not list them.
    """

    lookup: Lookup
    rounds: int
    columns: tuple[str, ...] = ()
    contrast: tuple[str, ...] = ()

    def offer(self, text: str, left: int) -> str:
        """Return a question with the offer to look ``left`` times."""
        columns = ""
        if self.columns:
            columns = (
                f" Of the metadata it can be looked up how the cells of this cluster are spread "
                f"over the values of: {', '.join(self.columns)}."
            )
        times = "once" if left == 1 else f"{left} times"
        return fill(
            "evidence", question=text.rstrip(), times=times, most=MOST_GENES, columns=columns
        )

    def look_up(self, cluster: str, asked: EvidenceRequest) -> Finding:
        """Answer a request about a cluster: what is there, and in words what is not."""
        genes = list(dict.fromkeys(gene.strip() for gene in asked.genes if gene.strip()))
        columns = list(dict.fromkeys(asked.columns))
        parts: list[str] = []
        found: tuple[str, ...] = ()
        wanted = genes[:MOST_GENES]
        if wanted:
            figures = self.lookup.figures(wanted)
            if figures is None:
                parts.append("The expression of genes cannot be looked up in these data.")
            else:
                found = figures.genes
                parts += self._figures(cluster, figures)
                missing = [gene for gene in wanted if gene not in found]
                if missing:
                    parts.append(f"Not measured, which is no evidence: {listing(missing, 20)}.")
        if len(genes) > MOST_GENES:
            more = counted(len(genes) - MOST_GENES, "more gene")
            parts.append(f"At most {MOST_GENES} genes are looked up at once; {more} not looked up.")
        seen: list[str] = []
        for column in columns[:MOST_COLUMNS]:
            composition = self.lookup.composition(column) if column in self.columns else None
            if composition is None or cluster not in composition.clusters:
                name = _short(column)
                parts.append(f'There is no column "{name}" of the metadata that can be looked up.')
            else:
                seen.append(column)
                parts.append(_spread(cluster, composition))
        return Finding(found, tuple(seen), "\n".join(parts), tuple(wanted))

    def _figures(self, cluster: str, figures: Figures) -> list[str]:
        if not figures.genes or cluster not in figures.clusters:
            return []
        here = figures.clusters.index(cluster)
        share, mean, sizes = 100 * figures.share, figures.mean, figures.sizes
        elsewhere = [i for i in range(len(sizes)) if i != here]
        n = max(int(sizes[elsewhere].sum()), 1)
        place = {name: i for i, name in enumerate(figures.clusters)}
        others = [place[c] for c in self.contrast if c != cluster and c in place][:OTHER_CLUSTERS]
        head = ["gene", "% of its cells", "mean", "% of other cells", "mean of other cells"]
        if others:
            head.append("% in each other cluster, in the order above")
        lines = ["\t".join(head)]
        for row, gene in enumerate(figures.genes):
            outside = 100 * figures.expressed[row, elsewhere].sum() / n
            mean_outside = figures.sums[row, elsewhere].sum() / n
            cells = [_percent(share[row, here]), _mean(mean[row, here])]
            cells += [_percent(outside), _mean(mean_outside)]
            if others:
                cells.append(" ".join(_percent(share[row, other]) for other in others))
            lines.append("\t".join([gene, *cells]))
        return lines


@dataclass(frozen=True)
class Finding:
    """What was looked up.

    Attributes
    ----------
    genes, columns
        Those that were found.
    text
        The figures, in words for the model.
    asked
        The genes that were asked for.
    """

    genes: tuple[str, ...]
    columns: tuple[str, ...]
    text: str
    asked: tuple[str, ...] = ()

    def record(self, round_: int) -> dict[str, Json]:
        """Return what is kept of it."""
        return {
            "round": round_,
            "genes": list(self.genes),
            "not_found": [gene for gene in self.asked if gene not in self.genes],
            "columns": list(self.columns),
            "found": self.text,
        }


@dataclass
class Looked:
    """What was looked up for one cluster so far."""

    findings: list[Finding] = field(default_factory=list)

    def added_to(self, text: str) -> str:
        """Return a text with all findings."""
        if not self.findings:
            return text
        found = "\n\n".join(finding.text for finding in self.findings)
        return fill("looked_up", question=text.rstrip(), found=found)

    def known(self, question: Question) -> Question:
        """Return the question as it is now: with the findings, whose genes may be cited."""
        if not self.findings:
            return question
        genes = dict.fromkeys([*question.genes, *(g for f in self.findings for g in f.genes)])
        return replace(question, genes=tuple(genes), text=self.added_to(question.text))


def _spread(cluster: str, composition: Composition) -> str:
    here = composition.counts[:, composition.clusters.index(cluster)]
    every = composition.counts.sum(axis=1)
    order = sorted(range(len(here)), key=lambda i: (-int(here[i]), composition.values[i]))
    lines = [f"{_short(composition.column)}\t% of its cells\t% of all cells"]
    for i in order[:MOST_VALUES]:
        share = 100 * here[i] / max(int(here.sum()), 1)
        overall = 100 * every[i] / max(int(every.sum()), 1)
        lines.append(f"{_short(composition.values[i])}\t{_percent(share)}\t{_percent(overall)}")
    if len(order) > MOST_VALUES:
        lines.append(f"and {counted(len(order) - MOST_VALUES, 'more value')}")
    return "\n".join(lines)


def _short(text: str) -> str:
    plain = " ".join(str(text).split())
    return plain if len(plain) <= LONGEST_VALUE else plain[: LONGEST_VALUE - 1] + "…"


def _percent(value: float) -> str:
    return "-" if not math.isfinite(value) else "<1" if 0 < value < 1 else f"{value:.0f}"


def _mean(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"
