"""What is checked before any engine runs and before any cost is paid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import (
    CellsWithoutClusterWarning,
    ClustersWithoutMarkersWarning,
    MarkersClustersError,
    MarkersMismatchError,
    MarkersStatisticError,
    MarkersUnknownClustersWarning,
    SpeciesWarning,
    UploadNotAllowedError,
    counted,
    in_language,
    listing,
    warn,
)
from ..study.expression.statistics import fraction_expressed
from .joins import explain, shown

if TYPE_CHECKING:
    from ..annotations.clusters import Level
    from ..engines.base import Capabilities, Engine, Plan
    from ..study.clusters import Clusters
    from ..study.markers.table import Markers
    from ..study.study import Study
    from ..study.symbols import Recognised

logger = logging.getLogger("cellferry")

CHECKED_GENES = 6
"""Genes per cluster whose prevalence is computed again."""
TOLERANCE = 0.1
"""How far a prevalence (0..1) may be from the table's before the gene counts as different.

Well above the rounding of Seurat (0.001) and above what a few filtered cells change.
"""
FEWEST_GENES = 3
"""A cluster with fewer genes to compare is not judged."""


def check_study(study: Study, level: Level = "clusters", genes: Iterable[str] = ()) -> Study:
    """Check markers against clusters and genes, warn of what will get no label, settle the species.

    Returns the study with symbols wherever the names of genes are read as one, with what was
    found of them in ``recognised``, and with ``context.species`` filled in where the gene names
    show it. The marker table and the object of the user stay as they are.

    Parameters
    ----------
    study
        With its expression and markers, as it was read.
    level
        ``"clusters"`` or ``"cells"``; cells need no cluster.
    genes
        Genes that the engine knows beside the symbols of human and mouse.

    Raises
    ------
    MarkersClustersError, MarkersMismatchError, GeneIdentifiersError
    """
    clusters = study.clusters
    codes = clusters.codes if level == "clusters" else None
    if codes is not None and (missing := int(np.sum(codes < 0))):
        message = f"{missing} of {len(codes)} cells have no cluster and will get no label."
        warn(CellsWithoutClusterWarning(message))
    if study.markers is not None:
        _check_clusters(study.markers, clusters, study.group_key)
        _check_statistic(study.markers)
    read, found = _with_symbols(study, level, genes)
    return _settle_species(read, study, found)


def _with_symbols(study: Study, level: Level, genes: Iterable[str]) -> tuple[Study, Recognised]:
    """Return the study with symbols, once the user was told what is read as what."""
    from ..biology.genes import require_names
    from ..biology.recognition import not_in_the_tables
    from ..study.symbols import recognise_genes, with_expression_symbols, with_symbols
    from .recognition import warn_of_genes

    if study.markers is None:
        require_names(study.genes or ())
    found = recognise_genes(study, not_in_the_tables(genes))
    # Identifiers that cannot be read are refused; nothing else is then worth a warning.
    read = with_symbols(study, found) if level == "clusters" or study.markers is not None else None
    warn_of_genes(study, found, level)
    if read is None:
        read = with_expression_symbols(study, found)
    return read.with_parts(recognised=study.recognised or found.to_dict() or None), found


def _check_clusters(markers: Markers, clusters: Clusters, group_key: str | None) -> None:
    here, there = set(clusters.names), set(markers.clusters)
    with_rows = {markers.clusters[code] for code in np.unique(markers.cluster)}
    extra = [c for c in markers.clusters if c not in here]
    without = [c for c in clusters.names if c not in with_rows]
    if not extra and not without:
        return
    of = f' of "{group_key}"' if group_key else ""
    why = explain(extra, without) if extra and without else None
    if here.isdisjoint(there):
        message = (
            f"No cluster of the marker table is a cluster{of}: the table has "
            f"{shown(markers.clusters, 5)}, the object has {shown(clusters.names, 5)}."
        )
        hint = in_language(
            python="Name the column that the markers were computed for: group_key=.",
            r="Name the metadata column that the markers were computed for: group.by.",
            cli="Name the column that the markers were computed for: --group-key.",
        )
        if why is not None:
            message += f" {why.sentence()}"
            hint = why.line(markers.source)
        raise MarkersClustersError(message, hint, table=list(markers.clusters))
    if extra:
        message = (
            f"The marker table has {counted(len(extra), 'cluster')} that the object does not "
            f"have: {shown(extra)}."
        )
        hint = "They are left out. If that is a surprise, the table is of another clustering."
        if why is not None:
            message += f" {why.sentence()}"
            hint = f"They are left out. {why.line(markers.source)}"
        warn(MarkersUnknownClustersWarning(message, hint))
    if without:
        message = f"{counted(len(without), 'cluster')} without markers: {shown(without)}."
        untested = dict((markers.details or {}).get("left_out") or {})
        if untested:
            name, reason = next(iter(untested.items()))
            message += f' For example, "{name}" cannot be tested: {reason}'
        hint = "They get no label and the status skipped."
        if "" in without:
            message += f" Cells with an empty name for their cluster{of} are one of its own."
            hint += (
                " Rows of a marker table without a cluster are left out, so give it a name, or "
                "make it missing (NA) where the cells have no cluster."
            )
        warn(ClustersWithoutMarkersWarning(message, hint))


def _check_statistic(markers: Markers) -> None:
    """A p-value alone says how sure a difference is, not how large or in which direction."""
    if markers.source == "list" or markers.avg_log2fc is not None or markers.score is not None:
        return
    message = "The marker table has neither a fold change nor a score."
    hint = (
        "It needs avg_log2FC (Seurat), logfoldchanges or scores (scanpy). A list of genes, best "
        "first, is read too: keep only the columns of clusters and genes."
    )
    raise MarkersStatisticError(message, hint)


def _settle_species(study: Study, given: Study, recognised: Recognised) -> Study:
    """Return the study with the species that the genes show, which is that of known symbols.

    ``given`` has the genes as they are written, by which a stated species is judged.
    """
    from dataclasses import replace

    from ..biology.recognition import detect_species, species_in_capitals
    from ..biology.species import known_species
    from ..study.symbols import species_of_genes

    stated = study.context.species
    shown = species_of_genes(given) if stated is None else None
    if shown is not None:
        logger.info("The gene names are of %s.", shown)
        context = replace(study.context, species=shown, species_from="genes")
        return study.with_parts(context=context)
    names = tuple(_names_of_genes(given)) if stated is not None else ()
    read = (recognised.of_object, recognised.table)
    guesses = (*map(detect_species, names), *(r.species for r in read if r is not None))
    guess = next((g for g in guesses if g.species is not None), None)
    if guess is None:
        return study
    if stated is None:
        logger.info(
            "The gene names are of %s (%.0f %% of those that differ between species).",
            guess.species,
            100 * guess.share,
        )
        found = replace(study.context, species=guess.species, species_from="genes")
        return study.with_parts(context=found)
    known = known_species(stated)
    written_like = None if known is None else known.reads
    # A mouse's genes in capitals are read as what they are, and warned of as that.
    in_capitals = any(species_in_capitals(n) == written_like for n in names)
    if written_like not in {None, guess.species} and not in_capitals:
        message = (
            f'The species was given as "{stated}", but {100 * guess.share:.0f} % of the gene '
            f"names that differ between species are of {guess.species}."
        )
        line = in_language(
            python=f'species="{guess.species}"',
            r=f'species = "{guess.species}"',
            cli=f"--species {guess.species}",
        )
        hint = (
            f"If that is a mistake, use {line}. Until then they are read as genes of "
            f"{written_like} of the same letters."
        )
        warn(SpeciesWarning(message, hint))
    return study


def _names_of_genes(study: Study) -> Iterator[Sequence[str]]:
    """Give the names by which a species may be seen, the best first."""
    if study.genes is not None:
        yield study.genes
    if study.markers is not None:
        yield study.markers.gene.tolist()


def genes_to_compare(markers: Markers, clusters: Clusters) -> tuple[str, ...]:
    """Return the genes whose prevalence decides whether a table belongs to a clustering.

    Per cluster those with the largest ``pct.1 - pct.2`` (or ``pct.1``): another
    clustering of the same cells changes them most. Empty when the table has no ``pct.1``.

    Parameters
    ----------
    markers
        The table, of any source.
    clusters
        Those of the object; only clusters of both are compared.
    """
    chosen: dict[str, None] = {}
    for rows in _rows_to_compare(markers, clusters).values():
        chosen.update(dict.fromkeys(str(g) for g in markers.gene[rows]))
    return tuple(chosen)


def _rows_to_compare(markers: Markers, clusters: Clusters) -> dict[str, np.ndarray]:
    if markers.pct_1 is None:
        return {}
    spread = markers.pct_1 - (0 if markers.pct_2 is None else markers.pct_2)
    found = {}
    for code, name in enumerate(markers.clusters):
        if name not in clusters.names:
            continue
        rows = np.flatnonzero((markers.cluster == code) & np.isfinite(spread))
        # The name decides between equal spreads, so that the order of rows does not count.
        order = sorted(rows, key=lambda r: (-spread[r], str(markers.gene[r])))
        found[name] = np.array(order[:CHECKED_GENES], dtype=np.intp)
    return found


def check_same_clustering(study: Study) -> None:
    """Raise :class:`MarkersMismatchError` if the markers are of another clustering.

    For a few genes per cluster the fraction of expressing cells is computed from
    ``study.normalized`` and compared with the table's ``pct.1``. Nothing is checked when
    the table has no ``pct.1`` or the study no cells, and nothing for scaled data.
    """
    markers, source = study.markers, study.normalized
    if markers is None or source is None or study.clusters.codes is None:
        return
    table = markers.pct_1
    if table is None:
        return
    measured = fraction_expressed(source, study.clusters)
    if measured is None:
        return
    column = {gene: i for i, gene in enumerate(source.genes)}
    wrong: dict[str, str] = {}
    sizes = study.clusters.counts() or {}
    for name, rows in _rows_to_compare(markers, study.clusters).items():
        if not sizes[name]:
            # None of its cells was measured.
            continue
        of_cluster = measured[study.clusters.names.index(name)]
        compared = [
            (str(markers.gene[r]), float(table[r]), float(of_cluster[column[markers.gene[r]]]))
            for r in rows
            if markers.gene[r] in column
        ]
        off = [c for c in compared if abs(c[1] - c[2]) > TOLERANCE]
        if len(compared) >= FEWEST_GENES and len(off) * 2 > len(compared):
            gene, stated, seen = max(off, key=lambda c: abs(c[1] - c[2]))
            wrong[name] = f"{gene} in {100 * seen:.0f} % of cells, not {100 * stated:.0f} %"
    if wrong:
        first = next(iter(wrong))
        message = (
            f"The marker table was not computed for these clusters: {len(wrong)} of "
            f"{len(study.clusters.names)} differ ({listing(list(wrong), 5)}). "
            f'For example, cluster "{first}" expresses {wrong[first]} as the table says.'
        )
        hint = (
            "Run FindAllMarkers() or rank_genes_groups() again for this clustering and assay, "
            "or name the column that the table was computed for: `group_key`."
        )
        raise MarkersMismatchError(message, hint, clusters=wrong)


def check_needs(engine: Engine[object], study: Study) -> None:
    """Raise :class:`EngineNeedsError` for the first part that the engine needs and lacks.

    Parameters
    ----------
    engine
        Its capabilities say what it cannot do without.
    study
        The object as it was read.
    """
    for part in sorted(engine.capabilities.needs):
        study.require(part, engine.name)


def check_consent(engine: Engine[object], plan: Plan | None, *, allow_upload: bool) -> None:
    """Raise :class:`UploadNotAllowedError` if data would leave the machine unasked.

    Marker lists may be sent to a service the user has chosen; expression and metadata
    may not, unless ``allow_upload`` says so.

    Parameters
    ----------
    engine
        Its capabilities say what leaves the machine, and for which host.
    plan
        What would be sent, for the message; None where it is not known.
    allow_upload
        Whether the user agreed.
    """
    sent = leaving(engine.capabilities)
    if not sent or allow_upload:
        return
    how_much = f", {plan.bytes_sent:,} bytes" if plan and plan.bytes_sent else ""
    columns = f" (the columns {listing(plan.columns)})" if plan and plan.columns else ""
    message = (
        f'The engine "{engine.name}" would send {" and ".join(sent)}{columns} to '
        f"{engine.capabilities.host}{how_much}."
    )
    hint = "If that is allowed, say so: `allow_upload=True`."
    raise UploadNotAllowedError(message, hint, host=engine.capabilities.host, sends=sent)


def leaving(capabilities: Capabilities) -> list[str]:
    """Return what would leave the machine and needs consent, sorted."""
    if capabilities.host is None:
        return []
    return sorted(capabilities.sends & {"expression", "metadata"})
