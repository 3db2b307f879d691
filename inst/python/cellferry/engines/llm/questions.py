"""Questions: the words that are sent, put together from versioned files and the study.

The files in ``prompts/<version>`` were written for this project. They are never changed
after a release; a better wording is a new version.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...study.markers.select import Selection
    from ...study.markers.table import Markers
    from ...study.study import Study

VERSION = "v1"
PROMPTS = (
    "annotator",
    "blind",
    "validator",
    "question",
    "validation",
    "again",
    "unreadable",
    "prompted",
)

EVIDENCE_PROMPTS = ("evidence", "looked_up")
"""Those of questions to which evidence may be looked up."""

OTHER_CLUSTERS = 40
"""Other clusters that a question names at most."""
OTHER_GENES = 6

UNKNOWN_TISSUES = {"", "none", "unknown", "tissue blind", "tissue-blind"}
TISSUE_UNKNOWN = (
    "unknown. Do not assume one; judge by the genes alone and say under possible_tissues "
    "where such cells are likely from."
)

RANKINGS = {
    "avg_log2FC": "log2 fold change",
    "p_val_adj": "adjusted p-value",
    "pct_diff": "difference of the fractions of expressing cells",
    "Score": "the score of the test",
}


@functools.cache
def prompt(name: str) -> str:
    """Return the text of a prompt of the current version."""
    path = resources.files("cellferry.engines.llm") / "prompts" / VERSION / f"{name}.txt"
    return path.read_text(encoding="utf-8")


def prompts_digest() -> str:
    """Return a hash of all prompts: other words, another question."""
    return hashlib.sha256("\x1f".join(map(prompt, PROMPTS)).encode()).hexdigest()


def evidence_determining(rounds: int, columns: Sequence[str], cells: str) -> dict[str, object]:
    """Return what of the evidence determines an answer; nothing where none may be asked for.

    Parameters
    ----------
    rounds, columns
        How often the model may ask, and the columns that it may name.
    cells
        Hash of the cells and their clusters.
    """
    if not rounds:
        return {}
    words = hashlib.sha256("\x1f".join(map(prompt, EVIDENCE_PROMPTS)).encode()).hexdigest()
    return {"evidence": [rounds, list(columns), cells, words]}


def fill(name: str, **values: object) -> str:
    """Return a prompt with its places filled in; values are never read as templates."""
    return Template(prompt(name)).substitute(values)


def tissue_of(study: Study) -> str | None:
    """Return the tissue, or None where it is unknown, which is a mode of its own."""
    tissue = (study.context.tissue or "").strip()
    return None if tissue.casefold() in UNKNOWN_TISSUES else tissue


@dataclass(frozen=True)
class Question:
    """What is asked of one cluster.

    Attributes
    ----------
    cluster
        Its name; it is not part of the text, because names of users are hints or secrets.
    token
        Opaque; an answer must give it back.
    genes
        The genes of the text, best first.
    text
        The question.
    key
        Hash of everything that determines the question, but for the other clusters: they
        are contrast, and a change of one must not make all others be paid for again.
    remarks
        What a person said about earlier answers.
    """

    cluster: str
    token: str
    genes: tuple[str, ...]
    text: str
    key: str
    remarks: tuple[str, ...] = ()


def make_questions(
    study: Study,
    chosen: Mapping[str, Selection],
    *,
    ranking_method: str,
    additional_info: str | None,
    others: bool,
    settings: Mapping[str, object],
    remarks: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Question]:
    """Return the question of every cluster that has a gene to show.

    Parameters
    ----------
    chosen
        The genes of each cluster.
    settings
        What else determines the answers: models, options. It goes into the keys.
    remarks
        Cluster -> what a person remarks; it changes the key of this cluster alone.
    """
    markers: Markers = study.require("markers", "llm")
    lists = markers.source == "list"
    ranking = "the order they were given in" if lists else RANKINGS[ranking_method]
    sizes = study.clusters.counts() or {}
    total = sum(sizes.values())
    names = [n for n in study.clusters.names if n in chosen and chosen[n].genes]
    strongest = {n: chosen[n].genes[:OTHER_GENES] for n in names}
    context = _context(study.context.study_context, additional_info)
    made = {}
    for name in names:
        genes = chosen[name].genes
        parts = {
            "species": study.context.species or "not stated",
            "tissue": tissue_of(study) or TISSUE_UNKNOWN,
            "context": context,
            "size": _size(sizes.get(name), total),
            "n_genes": len(genes),
            "ranking": ranking,
            "markers": _table(markers, chosen[name]),
        }
        said = list((remarks or {}).get(name, ()))
        remarked = {"remarks": [*said, prompt("remark")]} if said else {}
        key = _hash({"parts": parts, "prompts": prompts_digest(), **settings, **remarked})
        token = base64.b32encode(bytes.fromhex(_hash({"token": key, "cluster": name})))[:10]
        text = fill(
            "question",
            token=token.decode(),
            others=_others(name, strongest, sizes) if others else "",
            **parts,
        )
        if said:
            lines = "\n".join(f"- {' '.join(remark.split())}" for remark in said)
            text = fill("remark", question=text.rstrip(), remarks=lines)
        # Two clusters with the same markers are two questions.
        made[name] = Question(
            name,
            token.decode(),
            genes,
            text.rstrip() + "\n",
            _hash({"k": key, "c": name}),
            tuple(said),
        )
    return made


def _hash(content: Mapping[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _context(study_context: str, additional_info: str | None) -> str:
    lines = []
    if study_context.strip():
        lines.append(f"Study: {study_context.strip()}\n")
    if additional_info and additional_info.strip():
        lines.append(f"Additional information: {additional_info.strip()}\n")
    return "".join(lines)


def _size(n: int | None, total: int) -> str:
    if n is None:
        return ""
    part = f", {100 * n / total:.1f} % of all cells" if total else ""
    return f"Cells in this cluster: {n}{part}\n"


def _table(markers: Markers, selection: Selection) -> str:
    """Return the genes with what is known of them, as lines of tab-separated values."""
    known = [
        (name, values, form)
        for name, values, form in (
            ("log2 fold change", markers.avg_log2fc, _plain),
            ("% of its cells", markers.pct_1, _percent),
            ("% of other cells", markers.pct_2, _percent),
        )
        if values is not None
    ]
    if not known:
        return ", ".join(selection.genes)
    lines = ["\t".join(["gene", *(name for name, _, _ in known)])]
    for gene, row in zip(selection.genes, selection.rows, strict=True):
        lines.append("\t".join([gene, *(form(float(values[row])) for _, values, form in known)]))
    return "\n".join(lines)


def _plain(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if math.isfinite(value) else "only in this cluster"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.0f}"


def _others(name: str, strongest: Mapping[str, Sequence[str]], sizes: Mapping[str, int]) -> str:
    rest = [n for n in strongest if n != name]
    if not rest:
        return ""
    lines = ["", "Other clusters of the study, for contrast (they are not asked about):"]
    for other in rest[:OTHER_CLUSTERS]:
        cells = f"{sizes[other]} cells: " if other in sizes else ""
        lines.append(f"- {cells}{', '.join(strongest[other])}")
    if len(rest) > OTHER_CLUSTERS:
        lines.append(f"- and {len(rest) - OTHER_CLUSTERS} more")
    return "\n".join(lines)
