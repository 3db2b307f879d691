"""The part of a study that a run keeps, so that it can be resumed with nothing but its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..files import Json
from .clusters import Clusters
from .markers.table import Markers
from .study import Context, Study


def study_record(study: Study) -> dict[str, Json]:
    """Return what a resumed run needs of a study, as plain data; no expression."""
    counts = study.clusters.counts()
    return {
        "clusters": list(study.clusters.names),
        "sizes": None if counts is None else list(counts.values()),
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
        },
    }


def study_from_record(record: Mapping[str, Any]) -> Study:
    """Return the study of :func:`study_record`, without cells."""
    sizes, markers, genes = record["sizes"], record["markers"], record["genes"]
    return Study(
        clusters=Clusters(tuple(record["clusters"]), sizes=None if sizes is None else tuple(sizes)),
        group_key=record["group_key"],
        genes=None if genes is None else tuple(genes),
        gene_names=record.get("gene_names"),
        recognised=record.get("recognised"),
        markers=None if markers is None else Markers.from_dict(markers),
        context=Context(**record["context"]),
    )


def input_hash(study: Study) -> str:
    """Return a hash of everything that :func:`study_record` keeps of what was given."""
    kept = study_record(study.with_parts(recognised=None))
    record = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(record.encode()).hexdigest()
