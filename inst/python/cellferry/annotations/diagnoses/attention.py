"""Why a cluster wants a look: codes, and a sentence with the figures. None changes a label.

What the metadata says of a cluster (counts, mitochondrial share, doublets, samples) is compared
with the whole object, because what is much or little depends on the tissue and the protocol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from ...biology.ontology import cell_ontology
from ...biology.text import normalized
from ...errors import listing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ...study.clusters import Clusters
    from ..clusters import Annotation, Annotations

LOW_CONFIDENCE = 0.5
FOLD = 3.0
"""How many times more or less than the object's median counts as much or little."""
FOLD_OF_GENES = 3.0
FOLD_OF_MITOCHONDRIA = 2.0
LEAST_MITOCHONDRIA = 10.0
"""Percent of mitochondrial counts below which a cluster is not spoken of."""
DOUBLETS = 0.25
DOUBLET_SCORE = 0.3
ONE_SAMPLE = 0.9
LEADING = 0.6
"""Share of the largest sample in the object above which a cluster of one sample is no wonder."""
TOP = 10
MOST_OF_TOP = 5
MINORITY = 0.5
"""Share of the cells of a label in clusters of other labels from which it wants a look."""
FEWEST_CELLS = 10
"""Fewer cells are not judged by their metadata."""

COUNTS = ("ncount_rna", "total_counts", "n_counts", "numi", "sum", "n_umi")
GENES = ("nfeature_rna", "n_genes_by_counts", "n_genes", "ngene", "detected")
MITOCHONDRIA = (
    "percent.mt", "percent_mt", "pct_counts_mt", "percent.mito", "percent_mito", "mito_percent",
    "subsets_mito_percent", "pct_counts_mito",
)  # fmt: skip
DOUBLET_CLASSES = ("scdblfinder.class", "scdblfinder_class", "predicted_doublet", "doublet",
                   "is_doublet", "doublet_class")  # fmt: skip
DOUBLET_PREFIX = "df.classifications"
DOUBLET_SCORES = ("doublet_score", "doublet_scores", "scdblfinder.score")
SAMPLES = (
    "sample",
    "sample_id",
    "orig.ident",
    "batch",
    "donor",
    "donor_id",
    "library",
    "library_id",
)
"""Usual names of columns, in lower case; the first that is there is read."""
QUALITY_COLUMNS = (*COUNTS, *GENES, *MITOCHONDRIA, *DOUBLET_CLASSES, *DOUBLET_SCORES, *SAMPLES)

KINDS_OF_GENES: tuple[tuple[str, str, re.Pattern[str], tuple[str, ...]], ...] = (
    ("mitochondrial_markers", "mitochondrial", re.compile(r"^mt-", re.IGNORECASE), ()),
    ("ribosomal_markers", "ribosomal", re.compile(r"^rp[sl]\d", re.IGNORECASE), ()),
    (
        "haemoglobin_markers",
        "haemoglobin",
        re.compile(r"^hb[abdegmqz]\d?(-[a-z]+\d?)?$", re.IGNORECASE),
        ("eryth", "reticulocyte"),
    ),
    (
        "immunoglobulin_markers",
        "immunoglobulin",
        re.compile(r"^ig[hkl]|^jchain$", re.IGNORECASE),
        ("b cell", "plasma", "b lineage"),
    ),
)
"""Code, word, genes, and words of labels for which such genes are what is expected."""


First: TypeAlias = "Callable[[Sequence[str]], tuple[str, pd.Series] | None]"
"""Returns the first column of some names."""


class Reason(NamedTuple):
    """A stable code, and a sentence with the figures."""

    code: str
    text: str


def is_quality_column(name: str) -> bool:
    """Whether a column of metadata is one that is looked at.

    Examples
    --------
    >>> is_quality_column("percent.mt"), is_quality_column("age")
    (True, False)
    """
    plain = name.lower()
    return plain in QUALITY_COLUMNS or plain.startswith(DOUBLET_PREFIX)


def with_attention(
    found: Annotations, obs: pd.DataFrame | None = None, clusters: Clusters | None = None
) -> Annotations:
    """Return annotations with the reasons why their clusters want a look.

    Codes are in ``attention``; what metadata and markers say is added to ``justification``, and
    all sentences are in the evidence.

    Parameters
    ----------
    found
        As the engine answered.
    obs
        Metadata of the cells, or None.
    clusters
        Of the same cells.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> row = Annotation("0", "ok", label="T cell", confidence=0.3, confidence_kind="graded")
    >>> with_attention(Annotations((row,)))["0"].attention
    ('low_confidence',)
    """
    of_cells = _of_metadata(obs, clusters)
    genes = _top_markers(found)
    rows, evidence = [], dict(found.evidence)
    for given in found:
        row = given
        of_engine = list(_of_answer(row))
        seen = [*of_cells.get(row.cluster, ()), *_of_markers(row, genes.get(row.cluster, ()))]
        reasons = [r for r in (*of_engine, *seen) if r.code not in row.attention]
        if reasons:
            said = " ".join(filter(None, (row.justification, *(r.text for r in seen))))
            codes = (*row.attention, *(r.code for r in reasons))
            row = replace(row, attention=codes, justification=said or None)
            known = evidence.get(row.cluster)
            kept = dict(known) if isinstance(known, Mapping) else {}
            texts = {**kept.get("attention", {}), **{r.code: r.text for r in reasons}}
            if known is None or isinstance(known, Mapping):
                evidence[row.cluster] = {**kept, "attention": texts}
        rows.append(row)
    return replace(found, rows=tuple(rows), evidence=evidence)


def reasons_of(found: Annotations, row: Annotation) -> list[Reason]:
    """Return all reasons of a row as they are now, the weightiest first.

    Parameters
    ----------
    found
        With the evidence.
    row
        One of its rows, with what was decided.
    """
    evidence = found.evidence.get(row.cluster)
    texts = evidence.get("attention", {}) if isinstance(evidence, Mapping) else {}
    made = [*_of_state(row), *_of_votes(found, row), *_among_clusters(found, row)]
    own = {reason.code: reason.text for reason in _of_answer(row)}
    for code in dict.fromkeys((*own, *row.attention)):
        made.append(Reason(code, str(own.get(code) or texts.get(code) or _WORDS.get(code, code))))
    return made


_WORDS = {
    "contradicts_parent": "It is no kind of the label of its parent.",
    "no_parent": "Its parent has no label.",
}


def _of_votes(found: Annotations, row: Annotation) -> Iterator[Reason]:
    evidence = found.evidence.get(row.cluster)
    votes = evidence.get("votes") if isinstance(evidence, Mapping) else None
    cast = [v for v in votes or () if v.get("label") and v.get("term")]
    terms = [str(v["term"]) for v in cast]
    if any(not _compatible(one, other) for one, other in combinations(terms, 2)):
        said = listing([f"{v.get('engine')}: {v['label']}" for v in cast], 4)
        yield Reason("disagreement", f"Annotators say different things: {said}.")


def _compatible(one: str, other: str) -> bool:
    """Whether two terms are one, or one is a kind of the other; text without a term is its own."""
    ontology = cell_ontology()
    if one in ontology and other in ontology:
        return ontology.related(one, other)
    return one == other


def _of_state(row: Annotation) -> Iterator[Reason]:
    if row.status == "failed":
        yield Reason("failed", row.error or "The engine gave no answer.")
    if row.decision == "stale":
        yield Reason("stale", "An earlier decision is about other cells than it has now.")
    if row.decision == "needs_work":
        yield Reason("needs_work", "Somebody marked it as needing work.")
    if row.status == "unknown" and row.decision != "unknown":
        yield Reason("unknown", "No type is supported well enough.")


class Held(NamedTuple):
    """How many of the cells of a label are in a cluster, of how many, and what that mostly is."""

    cluster: str
    n: int
    total: int
    label: str

    @property
    def share(self) -> float:
        """Share of the cells of the cluster that were answered."""
        return self.n / self.total if self.total else 0.0


def held_by(found: Annotations, label: str) -> list[Held]:
    """Return the clusters that cells of a label are in, the largest part first.

    Parameters
    ----------
    found
        Annotations of cells; of clusters there are none.
    label
        A row.
    """
    if found.provenance.get("level") != "cells":
        return []
    made = []
    for name, one in found.evidence.get("clusters", {}).items():
        counts = one.get("labels") or {}
        n = int(counts.get(label, 0))
        if n:
            made.append(Held(str(name), n, int(sum(counts.values())), str(one.get("label"))))
    return sorted(made, key=lambda held: -held.n)


def _among_clusters(found: Annotations, row: Annotation) -> Iterator[Reason]:
    held = held_by(found, row.cluster)
    total = sum(one.n for one in held)
    apart = [one for one in held if one.label != row.cluster]
    n = sum(one.n for one in apart)
    if total and n > MINORITY * total:
        named = listing([f"{one.cluster} (mostly {one.label})" for one in apart], 3)
        text = f"{n:,} of its {total:,} cells are in clusters of another label: {named}."
        yield Reason("minority", text)


def _of_answer(row: Annotation) -> Iterator[Reason]:
    if row.mixed:
        yield Reason("mixed", f"It has markers of several types: {', '.join(row.mixed)}.")
    if row.status == "ok" and row.confidence is not None and row.confidence < LOW_CONFIDENCE:
        yield Reason("low_confidence", f"The confidence is {row.confidence:.2f}.")


def _of_markers(row: Annotation, genes: Sequence[str]) -> Iterator[Reason]:
    label = normalized(row.label or "")
    for code, word, pattern, expected in KINDS_OF_GENES:
        n = sum(pattern.search(gene) is not None for gene in genes[:TOP])
        if n >= MOST_OF_TOP and not any(part in label for part in expected):
            text = f"{n} of its {min(TOP, len(genes))} best markers are {word} genes."
            yield Reason(code, text)


def _top_markers(found: Annotations) -> dict[str, list[str]]:
    best: dict[str, list[str]] = {}
    for _, name, gene in found.ranked():
        genes = best.setdefault(name, [])
        if len(genes) < TOP:
            genes.append(gene)
    return best


def _of_metadata(obs: pd.DataFrame | None, clusters: Clusters | None) -> dict[str, list[Reason]]:
    """Return cluster -> what the metadata says of it."""
    if obs is None or clusters is None or clusters.codes is None:
        return {}
    if len(obs) != len(clusters.codes):
        return {}
    codes = np.asarray(clusters.codes)
    sizes = np.bincount(codes[codes >= 0], minlength=len(clusters.names))
    # A cluster that is nearly the whole object is not compared with it.
    judged = (sizes >= FEWEST_CELLS) & (sizes < 0.9 * max(len(codes), 1))
    columns = {str(name).lower(): i for i, name in reversed(list(enumerate(obs.columns)))}
    found: dict[str, list[Reason]] = {}

    def first(names: Sequence[str]) -> tuple[str, pd.Series] | None:
        at = next((columns[name] for name in names if name in columns), None)
        return None if at is None else (str(obs.columns[at]), obs.iloc[:, at])

    for which, reason in (
        *_by_median(first(COUNTS), codes, judged, "counts", FOLD),
        *_by_median(first(GENES), codes, judged, "genes", FOLD_OF_GENES),
        *_mitochondrial(first(MITOCHONDRIA), codes, judged),
        *_doublets(obs, first, codes, judged),
        *_samples(first(SAMPLES), codes, judged),
    ):
        found.setdefault(clusters.names[which], []).append(reason)
    return found


def _by_median(
    column: tuple[str, pd.Series] | None,
    codes: NDArray[np.integer],
    judged: NDArray[np.bool_],
    word: str,
    fold: float,
) -> Iterator[tuple[int, Reason]]:
    for name, which, value, usual in _medians(column, codes, judged):
        if usual <= 0:
            continue
        if value * fold < usual or value > usual * fold:
            code = f"few_{word}" if value < usual else f"many_{word}"
            text = f"The median of {name} is {value:,.0f}, and {usual:,.0f} in the object."
            yield which, Reason(code, text)


def _mitochondrial(
    column: tuple[str, pd.Series] | None, codes: NDArray[np.integer], judged: NDArray[np.bool_]
) -> Iterator[tuple[int, Reason]]:
    for name, which, value, usual in _medians(column, codes, judged):
        if value >= LEAST_MITOCHONDRIA and value > usual * FOLD_OF_MITOCHONDRIA:
            text = f"The median of {name} is {value:.1f}, and {usual:.1f} in the object."
            yield which, Reason("high_mitochondrial", text)


def _medians(
    column: tuple[str, pd.Series] | None, codes: NDArray[np.integer], judged: NDArray[np.bool_]
) -> Iterator[tuple[str, int, float, float]]:
    """Yield name, cluster, its median and the object's."""
    values = None if column is None else _numbers(column[1])
    if column is None or values is None or not np.isfinite(values).any():
        return
    usual = float(np.nanmedian(values))
    for which in np.flatnonzero(judged):
        here = values[codes == which]
        if np.isfinite(here).any():
            yield column[0], int(which), float(np.nanmedian(here)), usual


def _numbers(column: pd.Series) -> NDArray[np.float64] | None:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column.dtype):
        return None
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _doublets(
    obs: pd.DataFrame, first: First, codes: NDArray[np.integer], judged: NDArray[np.bool_]
) -> Iterator[tuple[int, Reason]]:
    prefixed = [str(c) for c in obs.columns if str(c).lower().startswith(DOUBLET_PREFIX)]
    column = first((*DOUBLET_CLASSES, *(name.lower() for name in prefixed)))
    if column is not None:
        name, values = column
        called = values.astype("object").map(_is_doublet).to_numpy(dtype=bool)
        what = "called doublets"
    else:
        column = first(DOUBLET_SCORES)
        numbers = None if column is None else _numbers(column[1])
        if column is None or numbers is None:
            return
        name, called = column[0], numbers > DOUBLET_SCORE
        what = f"above {DOUBLET_SCORE:g}"
    overall = float(called.mean()) if len(called) else 0.0
    for which in np.flatnonzero(judged):
        share = float(called[codes == which].mean())
        if share >= DOUBLETS and share > 2 * overall:
            text = f"{share:.0%} of its cells are {what} by {name}, and {overall:.0%} of all."
            yield int(which), Reason("doublets", text.replace("%", " %"))


def _is_doublet(value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return str(value).strip().lower() in {"doublet", "true", "1", "1.0"}


def _samples(
    column: tuple[str, pd.Series] | None, codes: NDArray[np.integer], judged: NDArray[np.bool_]
) -> Iterator[tuple[int, Reason]]:
    if column is None:
        return
    import pandas as pd

    name, values = column
    places, levels = pd.factorize(values.astype("object"))
    known = places >= 0
    if len(levels) < 2 or not known.any():
        return
    overall = np.bincount(places[known], minlength=len(levels)) / known.sum()
    if overall.max() > LEADING:
        return
    for which in np.flatnonzero(judged):
        here = places[(codes == which) & known]
        if not len(here):
            continue
        shares = np.bincount(here, minlength=len(levels)) / len(here)
        leading = int(shares.argmax())
        if shares[leading] >= ONE_SAMPLE:
            text = (
                f"{shares[leading]:.0%} of its cells are of {name} {levels[leading]}, "
                f"which has {overall[leading]:.0%} of all."
            )
            yield int(which), Reason("one_sample", text.replace("%", " %"))


__all__ = ["Held", "Reason", "held_by", "is_quality_column", "reasons_of", "with_attention"]
