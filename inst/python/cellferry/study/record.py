"""The part of a study that a run keeps, so that it can be resumed with nothing but its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..files import Json
from .clusters import Clusters
from .markers.table import Markers
from .parents import Parents
from .study import Context, Study


def study_record(study: Study) -> dict[str, Json]:
    """Return what a resumed run needs of a study, as plain data; no expression."""
    counts = study.clusters.counts()
    return {
        "clusters": list(study.clusters.names),
        "sizes": None if counts is None else list(counts.values()),
        **({"totals": list(totals)} if (totals := study.clusters.totals) is not None else {}),
        "group_key": study.group_key,
        "genes": None if study.genes is None else list(study.genes),
        # Only where there are any, so that the hash of every other study stays what it was.
        **({"gene_names": dict(study.gene_names)} if study.gene_names else {}),
        **({"recognised": dict(study.recognised)} if study.recognised else {}),
        "markers": None if study.markers is None else study.markers.to_dict(),
        "context": {
            "tissue": study.context.tissue,
            "species": study.context.species,
            "study_context": study.context.study_context,
            "metadata": dict(study.context.metadata),
            **({"species_from": "genes"} if study.context.species_from == "genes" else {}),
        },
        **({"parents": study.parents.to_dict()} if study.parents is not None else {}),
    }


def study_from_record(record: Mapping[str, Any]) -> Study:
    """Return the study of :func:`study_record`, without cells."""
    sizes, markers, genes = record["sizes"], record["markers"], record["genes"]
    totals = record.get("totals")
    clusters = Clusters(
        tuple(record["clusters"]),
        sizes=None if sizes is None else tuple(sizes),
        totals=None if totals is None else tuple(totals),
    )
    return Study(
        # Cells may be without any clustering; which they were is not kept.
        cells=None if clusters.names else (),
        clusters=clusters,
        group_key=record["group_key"],
        genes=None if genes is None else tuple(genes),
        gene_names=record.get("gene_names"),
        recognised=record.get("recognised"),
        markers=None if markers is None else Markers.from_dict(markers),
        context=Context(**record["context"]),
        parents=Parents.from_dict(record["parents"]) if record.get("parents") else None,
    )


def input_hash(study: Study) -> str:
    """Return a hash of what :func:`study_record` keeps of what was given."""
    return record_hash(study_record(study))


def record_hash(record: Mapping[str, Json]) -> str:
    """Return the hash of a record as :func:`study_record` makes it, or as it was read again."""
    context = record.get("context")
    if isinstance(context, Mapping):
        context = {name: value for name, value in context.items() if name != "species_from"}
    # Neither where the species comes from, nor what was recognised, is given.
    kept = {k: v for k, v in record.items() if k != "recognised"}
    text = json.dumps({**kept, "context": context}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
