"""A job as a study: what the engines of this package read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...annotate.checks import check_needs
from ...annotate.recognition import warn_of_genes
from ...annotations.clusters import Annotations
from ...biology.genes import require_symbols
from ...biology.orthologs import species_shown
from ...biology.recognition import detect_species
from ...biology.species import known_species
from ...errors import CellferryError, GenesUnrecognisedWarning
from ...study.clusters import Clusters
from ...study.markers.read import read_markers
from ...study.study import Context, Study
from ...study.symbols import Recognised, recognise_genes, species_of_genes
from ..failures import fail

if TYPE_CHECKING:
    from ...engines.base import Engine
    from .payload import JobInput

MOSTLY = 0.95
"""Part of the listed genes that must be among the measured ones."""

READ = "Genes are read as they are written: send symbols such as CD3E (human) or Cd3e (mouse)."
BY_ORTHOLOGS = (
    "The genes of {species} are read by the table of their {read} orthologs, the others by their "
    "symbols."
)

_SPECIES_TAGS = ("species", "organism")
_TISSUE_TAGS = ("tissue", "organ")


def study_of(job: JobInput, sizes: Mapping[str, int] | None = None) -> Study:
    """Return the study of a job.

    Its clusters are the ids of the job. Genes that the client measured are known to the
    engine, so that a marker that is absent can be distinguished from one that was not measured.

    Parameters
    ----------
    sizes
        Cells per cluster id, where the artifacts have them.
    """
    names = tuple(job.labels)
    counts = None if sizes is None else tuple(int(sizes.get(name, 0)) for name in names)
    listed = {gene for of_cluster in job.markers.values() for gene in of_cluster}
    genes = tuple(dict.fromkeys(g for g in job.genes if g)) or None
    # A client that measured other genes than it lists did not send all of them.
    if genes is not None and len(listed & set(genes)) < MOSTLY * len(listed):
        genes = None
    seen = genes or sorted(listed)
    stated = known_species(_tag(job.tags, _SPECIES_TAGS))
    return Study(
        clusters=Clusters(names, sizes=counts),
        group_key="clusters",
        genes=genes,
        markers=read_markers(dict(job.markers)),
        context=Context(
            tissue=_tag(job.tags, _TISSUE_TAGS) or None,
            species=_species_of(seen) if stated is None else stated.name,
            species_from="genes" if stated is None else "stated",
            study_context=job.study_info,
            metadata=job.tags,
        ),
    )


def gene_notes(study: Study) -> list[str]:
    """Return what the client should know of the genes of a job; nothing where they are known.

    It is what a user in process is warned of. But for orthologs names are not read as other
    symbols here: figures are looked up in the client's files by the names that it sent.

    Parameters
    ----------
    study
        That of the job.
    """
    found, told = recognise_genes(study), list[GenesUnrecognisedWarning]()
    other = known_species(species_of_genes(study))
    if other is not None:
        warn_of_genes(study, found, "clusters", told.append)
        by = BY_ORTHOLOGS.format(species=other, read=other.reads)
        return [by, *(warning.message for warning in told)]
    table, of_object = (
        None if part is None else part.as_written() for part in (found.table, found.of_object)
    )
    warn_of_genes(study, Recognised(table, of_object), "clusters", told.append)
    return [warning.message for warning in told] + ([READ] if told else [])


def check_job(job: JobInput, engine: Engine[Annotations]) -> None:
    """Raise :class:`~..failures.Failure` if no engine could make anything of the job."""
    genes = [gene for of_cluster in job.markers.values() for gene in of_cluster]
    study = study_of(job)
    try:
        # Identifiers of a species with a table of orthologs are read by it.
        if species_of_genes(study) is None:
            require_symbols(genes, "job")
        check_needs(engine, study)
    except CellferryError as error:
        fail(error.message, error)


def _species_of(genes: Sequence[str]) -> str | None:
    """Return the species that the names of genes show."""
    return species_shown(genes) or detect_species(genes).species


def _tag(tags: Mapping[str, str], names: Sequence[str]) -> str:
    by_name = {name.strip().casefold(): text.strip() for name, text in tags.items()}
    return next((by_name[name] for name in names if by_name.get(name)), "")


def payload_markers(job: JobInput, most: int = 50) -> dict[str, list[str | float | None]]:
    """Return the markers of a job as columns, with ``pct.1`` from its percentages.

    Parameters
    ----------
    most
        Markers of a cluster, the best ones.

    Returns
    -------
    ``cluster``, ``gene`` and ``pct.1`` (a fraction 0..1 or None), of equal length.
    """
    row_of = {gene: i for i, gene in enumerate(job.genes)}
    columns: dict[str, list[str | float | None]] = {"cluster": [], "gene": [], "pct.1": []}
    for position, cluster in enumerate(job.labels):
        for gene in job.markers.get(cluster, [])[:most]:
            row = row_of.get(gene)
            percent = math.nan if row is None else float(job.percentages[row, position])
            columns["cluster"].append(cluster)
            columns["gene"].append(gene)
            columns["pct.1"].append(None if math.isnan(percent) else round(percent / 100, 4))
    return columns


def named(found: Annotations, job: JobInput) -> Annotations:
    """Return annotations under the user's names of the clusters, for people to read.

    Where two clusters have one name, the ids stay.
    """
    if len(set(job.labels.values())) < len(job.labels):
        return found
    from dataclasses import replace

    rows = tuple(replace(row, cluster=job.labels[row.cluster]) for row in found)
    evidence = {job.labels[cluster]: value for cluster, value in found.evidence.items()}
    markers = dict(found.markers)
    if "cluster" in markers:
        markers["cluster"] = [job.labels[cluster] for cluster in markers["cluster"]]
    return Annotations(rows, evidence, found.provenance, markers)
