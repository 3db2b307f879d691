"""What the page shows beside the annotations, and the index by which its script finds it.

The names and shapes of the index are in ``viewer/types.d.ts``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from ...biology.gene_tables import aliases
from ...biology.ontology import cell_ontology
from ...errors import counted
from ..decisions.decision import markers_by_cluster, markers_hash, names_hash, order_hash
from ..decisions.history import history
from ..diagnoses.attention import reasons_of
from ..levels import levels
from ..palette import NO_LABEL_COLOURS, UNKNOWN_COLOURS, colours_of
from . import blocks
from .picture import LEAST_PER_CLUSTER, of_cells, sample
from .relations import relations_of
from .similarity import figure, likeness, nearest, places

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ...biology.genes import Species
    from ...study.clusters import Clusters
    from ...study.expression.gene_summary import GeneSummary
    from ...study.study import Study
    from ..clusters import Annotation, Annotations

SCHEMA = "cellferry.page/1"
OF_CELLS = re.compile(r"clusters$|coordinates/|column/")
"""Names of blocks with a value for each cell that is drawn, but for the genes'."""
MOST_MARKERS = 50
"""Markers of a row that the page has."""


@dataclass(frozen=True)
class Cells:
    """The cells of an object, in its order.

    Attributes
    ----------
    clusters
        The row of each cell, by its name.
    embeddings
        Name and n x 2 coordinates, the first to be shown first; NaN where a cell has none.
    spatial
        Which of them are places in tissue, whose y axis points down.
    obs
        Metadata that the page may show.
    own
        Columns of ``obs`` that cellferry wrote.
    names
        Names of the cells. They are not on the page, only the hashes of their sets are.
    """

    clusters: Clusters
    embeddings: tuple[tuple[str, NDArray[np.number]], ...] = ()
    spatial: frozenset[str] = frozenset()
    obs: pd.DataFrame | None = None
    own: frozenset[str] = frozenset()
    names: Sequence[str] | None = None

    @property
    def n(self) -> int:
        """How many there are."""
        return 0 if self.clusters.codes is None else len(self.clusters.codes)


@dataclass(frozen=True)
class Live:
    """Where a page that is served finds its data, relative to its own address, and what it may.

    ``cells``: whether decisions about chosen cells are kept. ``lists``: where lists of genes are
    kept; None where they are not.
    """

    base: str
    decisions: str
    writable: bool = True
    cells: bool = True
    compare: bool = False
    done: bool = False
    lists: str | None = None


@dataclass(frozen=True)
class Content:
    """What the page shows beside the annotations; any part may be absent.

    Attributes
    ----------
    cells
        The cells to draw.
    genes
        Figures of all genes by row.
    values
        Positions of the genes whose value in each cell a file has, the most important first.
    features
        Features of other assays, served only: Seurat's key and names.
    """

    cells: Cells | None = None
    genes: GeneSummary | None = None
    values: tuple[int, ...] = ()
    features: tuple[tuple[str, tuple[str, ...]], ...] = ()


def content_of_study(study: Study) -> Content:
    """Return what a study has that the page can show; nothing is read for it.

    Parameters
    ----------
    study
        What was annotated, by clusters.
    """
    return Content(cells_of_study(study, study.clusters, study.coordinates), study.figures)


def cells_of_study(
    study: Study, rows: Clusters, coordinates: tuple[str, NDArray[np.number]] | None
) -> Cells | None:
    """Return the cells of a study; None where there are none.

    Parameters
    ----------
    study
        What was annotated.
    rows
        The row of each cell.
    coordinates
        The embedding that is drawn.
    """
    if rows.codes is None or study.cells is None:
        return None
    return Cells(rows, () if coordinates is None else (coordinates,), names=study.cells)


class Page:
    """The index and the blocks of a page.

    Parameters
    ----------
    annotations
        With the labels in force.
    content
        What is shown beside them.
    title
        Heading of the page.
    live
        Where a served page finds its data; None for a file.
    drawn
        Positions of the cells that a file has; None is all.
    dropped
        What was left out, one sentence each.
    """

    def __init__(
        self,
        annotations: Annotations,
        content: Content,
        *,
        title: str = "",
        live: Live | None = None,
        drawn: NDArray[np.integer] | None = None,
        dropped: Sequence[str] = (),
    ) -> None:
        self._found, self._title, self._live = annotations, title, live
        self._drawn, self._dropped = drawn, tuple(dropped)
        names = [row.cluster for row in annotations]
        genes = content.genes
        if genes is not None:
            content = replace(content, genes=genes.of_clusters(names))
        self._content = content
        self._means = None if content.genes is None else blocks.coded_means(content.genes.means)
        self.columns = _columns(content.cells)

    def index(self) -> dict[str, Any]:
        """Return the index as plain data."""
        found, cells = self._found, self._content.cells
        alike = likeness(found)
        near = nearest(alike)
        spots = places(alike) if cells is None else None
        provenance = found.provenance
        index = {
            "schema": SCHEMA,
            "live": None if self._live is None else vars(self._live),
            "noun": "label" if of_cells(found) else "cluster",
            "title": self._title,
            "key": provenance.get("key"),
            "run": provenance.get("run"),
            "rows": list(self._rows(near)),
            "n_cells": None if cells is None else cells.n,
            "cells": self._cells(),
            "places": None if spots is None else spots._asdict(),
            "genes": self._genes(),
            "features": [{"key": k, "names": list(n)} for k, n in self._content.features],
            "markers": list(_markers(found)),
            "decisions": decisions_of(found),
            "lists": [],
            "dropped": list(self._dropped),
        }
        return {**index, "relations": relations_of(index)}

    def blocks(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each block of a file, the most needed first."""
        yield "terms", terms_block()
        yield from self.blocks_of_cells()
        genes = self._content.genes
        if genes is None:
            return
        yield "genes", blocks.names_block(genes.genes)
        assert self._means is not None
        yield "summary", blocks.summary_block(genes, self._means)
        for place, gene in enumerate(genes.drawn.values()):
            yield f"histogram/{place}", gene.counts.astype("<u4").tobytes()
        if self._content.cells is not None:
            for position in self._with_values():
                yield f"gene/{position}", blocks.values_block(genes.drawn[position], self._drawn)

    def blocks_of_cells(self) -> Iterator[tuple[str, bytes]]:
        """Yield what there is of each cell: coordinates, rows, columns."""
        cells = self._content.cells
        if cells is None:
            return
        chosen = slice(None) if self._drawn is None else self._drawn
        for i, (_, values) in enumerate(cells.embeddings):
            yield f"coordinates/{i}", blocks.coordinates_block(np.asarray(values)[chosen])
        yield "clusters", blocks.codes_block(self._codes()[chosen])
        for i, column in enumerate(self.columns):
            yield f"column/{i}", column.block(self._drawn)

    def _codes(self) -> NDArray[np.integer]:
        """Return the row of each cell, -1 for none."""
        assert self._content.cells is not None
        clusters = self._content.cells.clusters
        assert clusters.codes is not None
        place = {row.cluster: i for i, row in enumerate(self._found)}
        to_row = np.array([*(place.get(name, -1) for name in clusters.names), -1])
        return np.asarray(to_row[clusters.codes])

    def _with_values(self) -> list[int]:
        genes = self._content.genes
        drawn = {} if genes is None else genes.drawn
        return [g for g in self._content.values if g in drawn and drawn[g].codes is not None]

    def _rows(self, near: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
        hashes, basis = self._hashes()
        known = self._known_genes()
        for i, (row, labelled) in enumerate(zip(self._found, _in_force(self._found), strict=True)):
            yield {
                "cluster": row.cluster,
                **labelled,
                "alternatives": list(row.alternatives),
                "supporting": list(row.supporting),
                "conflicting": list(row.conflicting),
                "missing": list(row.missing),
                "mixed": list(row.mixed),
                "expected": self._expected(row, *known),
                "near": list(near[i]),
                "hash": hashes[row.cluster],
                "basis": basis,
                "engines": list(_votes(self._found, row.cluster)),
            }

    def _hashes(self) -> tuple[dict[str, str], str]:
        """Return what a decision knows each row by."""
        cells = self._content.cells
        if cells is not None and cells.names is not None and not of_cells(self._found):
            codes, names = self._codes(), np.asarray(cells.names, dtype=object)
            rows = enumerate(self._found)
            return {row.cluster: names_hash(names[codes == i].tolist()) for i, row in rows}, "cells"
        genes = markers_by_cluster(self._found)
        hashes = {row.cluster: markers_hash(row.cluster, genes[row.cluster]) for row in self._found}
        return hashes, "markers"

    def _known_genes(self) -> tuple[set[str], str]:
        """Return the genes that are known to be there, and what one that is not among them is.

        Without cells only the genes of the marker table are known.
        """
        genes = self._content.genes
        if genes is not None:
            return set(genes.genes), "not measured"
        return {gene for _, _, gene in self._found.ranked()}, "not listed"

    def _expected(self, row: Annotation, there: set[str], gone: str) -> list[dict[str, Any]]:
        """Return the expected markers of the label and of its best alternative, as the engine has
        them, and whether each is found; else what supports the label and what it misses."""
        evidence = self._found.evidence.get(row.cluster)
        expected = evidence.get("expected") if isinstance(evidence, Mapping) else None
        if isinstance(expected, list) and expected:
            return expected
        if not row.supporting and not row.missing:
            return []
        genes = [{"gene": gene, "state": "found"} for gene in row.supporting]
        for gene in row.missing:
            genes.append({"gene": gene, "state": "silent" if gene in there else gone})
        return [{"label": row.engine_label or row.label or "", "genes": genes}]

    def _cells(self) -> dict[str, Any] | None:
        cells = self._content.cells
        if cells is None:
            return None
        n = cells.n if self._drawn is None else len(self._drawn)
        embeddings = [
            blocks.embedding_entry(name, values, spatial=name in cells.spatial)
            for name, values in cells.embeddings
        ]
        columns = [column.entry(own=column.name in cells.own) for column in self.columns]
        return {
            "n": n,
            "all": n == cells.n,
            "embeddings": embeddings,
            "columns": columns,
            "hash": None if cells.names is None else order_hash(cells.names),
        }

    def _genes(self) -> dict[str, Any] | None:
        genes = self._content.genes
        if genes is None or self._means is None:
            return None
        return {
            "n": len(genes.genes),
            "sizes": genes.sizes.tolist(),
            "values": [] if self._content.cells is None else self._with_values(),
            "histograms": list(genes.drawn),
            "tops": [gene.top for gene in genes.drawn.values()],
            "aliases": _aliases(genes.genes, self._found.provenance.get("species")),
            "least": self._means.least,
            "most": self._means.most,
        }


def _in_force(found: Annotations) -> Iterator[dict[str, Any]]:
    """Yield what a decision changes of each row."""
    tones = colours_of(found)
    for row in found:
        at = levels(row.label, row.ontology_id)
        tone = NO_LABEL_COLOURS if row.label is None else UNKNOWN_COLOURS
        if row.label in tones:
            tone = tones[row.label].light, tones[row.label].dark
        yield {
            "label": row.label,
            "status": row.status,
            "confidence": row.confidence,
            "n_cells": row.n_cells,
            "ontology_id": row.ontology_id,
            "lineage": at[0].label,
            "levels": [level.label for level in at],
            "color": tone,
            "engine_label": row.engine_label,
            "engine_status": row.engine_status,
            "engine_ontology_id": row.engine_ontology_id,
            "attention": [reason._asdict() for reason in reasons_of(found, row)],
        }


def decisions_of(found: Annotations) -> list[dict[str, Any]]:
    """Return the history of decisions as the page lists it.

    Parameters
    ----------
    found
        With decisions.
    """
    return [
        {k: v for k, v in line.items() if k != "run"}
        | {"offered": [offer.cluster for offer in decision.offered]}
        for line, decision in zip(history(found), found.decisions, strict=True)
    ]


def index_text(index: Mapping[str, Any]) -> str:
    r"""Return an index as JSON; a lone surrogate, which UTF-8 has not, is escaped.

    Examples
    --------
    >>> index_text({"label": "\ud800"})
    '{"label": "\\ud800"}'
    """
    try:
        return orjson.dumps(index, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return json.dumps(index)


def refreshed(index: Mapping[str, Any], found: Annotations, live: Live | None) -> dict[str, Any]:
    """Return an index with the labels that are in force now; cells and genes are not looked at.

    Parameters
    ----------
    index
        What :meth:`Page.index` returned.
    found
        The annotations of now, of the same rows.
    live
        Where the page finds its data.
    """
    rows = [
        {**row, **labelled} for row, labelled in zip(index["rows"], _in_force(found), strict=True)
    ]
    made = {
        **index,
        "live": None if live is None else vars(live),
        "rows": rows,
        "decisions": decisions_of(found),
    }
    return {**made, "relations": relations_of(made)}


@functools.cache
def terms_block() -> bytes:
    """Return the terms of the Cell Ontology for completion, as JSON."""
    terms = [
        {"id": term.id, "label": term.label, "synonyms": list(term.synonyms)}
        for term in cell_ontology().terms.values()
        if not term.obsolete
    ]
    return orjson.dumps(terms)


def _columns(cells: Cells | None) -> list[blocks.Column]:
    if cells is None or cells.obs is None:
        return []
    obs = cells.obs
    made = (blocks.column_of(str(c), obs.iloc[:, i]) for i, c in enumerate(obs.columns))
    return [column for column in made if column is not None]


def _aliases(genes: Sequence[str], species: object) -> dict[str, int]:
    """Return other names of the genes, upper case -> position."""
    place: dict[str, int] = {}
    for i, gene in enumerate(genes):
        place.setdefault(gene, i)
    if species not in {"human", "mouse"}:
        return {}
    known: Species = "human" if species == "human" else "mouse"
    pairs = ((name.upper(), place.get(symbol)) for name, symbol in aliases(known).items())
    return {name: at for name, at in pairs if at is not None}


def _markers(found: Annotations) -> Iterator[dict[str, Any]]:
    rows = {row.cluster: i for i, row in enumerate(found)}
    counts = dict.fromkeys(rows, 0)
    for i, cluster, gene in found.ranked():
        if cluster not in rows or counts[cluster] >= MOST_MARKERS:
            continue
        counts[cluster] += 1
        yield {
            "row": rows[cluster],
            "gene": gene,
            "lfc": figure(found, "avg_log2FC", i),
            "here": figure(found, "pct.1", i),
            "elsewhere": figure(found, "pct.2", i),
            "p": figure(found, "p_val_adj", i),
        }


class Fitted:
    """A page whose blocks fit into a file of a given size.

    What does not fit is left out in this order: values of genes, columns, cells.

    Parameters
    ----------
    annotations, content, title
        As in :class:`Page`.
    most
        Bytes that all blocks may have, as they stand in the file.
    """

    def __init__(self, annotations: Annotations, content: Content, title: str, most: float) -> None:
        self._most = most
        dropped: list[str] = []
        page = Page(annotations, content, title=title)
        kept = {name: blocks.packed(block) for name, block in page.blocks()}
        if self._excess(kept) > 0:
            content, kept, gone = self._without_values(content, kept)
            if gone:
                dropped.append(f"Values per cell of {counted(gone, 'gene')}: the file has no room.")
        if self._excess(kept) > 0 and page.columns:
            content, kept, names = self._without_columns(content, kept, page)
            dropped.append(f"Columns without room in the file: {', '.join(names)}.")
        drawn = None
        too_many = self._excess(kept) > 0 and content.cells is not None
        if too_many:
            drawn = self._some_cells(annotations, content, kept)
            dropped.append(self._said_of(annotations, content, len(drawn)))
        if dropped:
            page = Page(annotations, content, title=title, drawn=drawn, dropped=dropped)
        if too_many:
            fewer = {name: blocks.packed(block) for name, block in page.blocks_of_cells()}
            kept = {**kept, **fewer}
        self.page, self.blocks = page, kept

    def _excess(self, kept: Mapping[str, str]) -> float:
        return sum(map(len, kept.values())) - self._most

    def _without_values(
        self, content: Content, kept: dict[str, str]
    ) -> tuple[Content, dict[str, str], int]:
        excess, values, gone = self._excess(kept), list(content.values), 0
        while excess > 0 and values:
            removed = kept.pop(f"gene/{values.pop()}", "")
            excess -= len(removed)
            gone += bool(removed)
        return replace(content, values=tuple(values)), kept, gone

    def _without_columns(
        self, content: Content, kept: dict[str, str], page: Page
    ) -> tuple[Content, dict[str, str], list[str]]:
        assert content.cells is not None
        assert content.cells.obs is not None
        gone: list[str] = []
        excess, names = self._excess(kept), [c.name for c in page.columns]
        while excess > 0 and names:
            excess -= len(kept.pop(f"column/{len(names) - 1}"))
            gone.insert(0, names.pop())
        obs = content.cells.obs
        there = [i for i, c in enumerate(obs.columns) if str(c) in set(names)]
        cells = replace(content.cells, obs=obs.iloc[:, there])
        return replace(content, cells=cells), kept, gone

    def _some_cells(
        self, annotations: Annotations, content: Content, kept: Mapping[str, str]
    ) -> NDArray[np.integer]:
        """Return the positions of as many cells as there is room for."""
        assert content.cells is not None
        assert content.cells.clusters.codes is not None
        taken = sum(len(text) for name, text in kept.items() if OF_CELLS.match(name))
        share = max(0.0, 1 - self._excess(kept) / max(taken, 1)) * 0.97
        codes = np.asarray(content.cells.clusters.codes, dtype=np.int64)
        most = max(int(content.cells.n * share), 1)
        return sample(codes, most, _least(annotations, most))

    def _said_of(self, annotations: Annotations, content: Content, n: int) -> str:
        assert content.cells is not None
        return (
            f"{n:,} of {content.cells.n:,} cells are drawn, of each {_noun(annotations)} all if it "
            f"has no more than {_least(annotations, n):,}; figures by gene are of all cells."
        )


def _votes(found: Annotations, cluster: str) -> Iterator[dict[str, Any]]:
    """Yield what each engine said of a row, where several were asked and counted."""
    evidence = found.evidence.get(cluster)
    votes = evidence.get("votes") if isinstance(evidence, Mapping) else None
    for vote in votes or ():
        yield {
            "engine": str(vote.get("engine") or ""),
            "label": vote.get("label"),
            "confidence": vote.get("confidence"),
            "status": str(vote.get("status") or "ok"),
        }


def _least(annotations: Annotations, drawn: int) -> int:
    """Return up to how many cells a row has all of its cells drawn: half of them are shared out."""
    return max(LEAST_PER_CLUSTER, drawn // max(2 * len(annotations), 1))


def _noun(annotations: Annotations) -> str:
    return "label" if of_cells(annotations) else "cluster"
