"""What reads an .rds for the verbs that take the path of one, by what is done with it."""

from __future__ import annotations

from ...study.inputs.readers import Reader
from . import build_artifacts_of_rds, open_rds
from .agreement import consensus_of_rds
from .companions import companion_of_rds
from .markers import find_markers_of_rds, pseudobulk_of_rds
from .pages import report_of_rds, review_of_rds
from .reference import with_study_of_rds
from .several import RdsOfSeveral
from .singler import open_singler
from .stored import stored_of_rds, study_report_of_rds

READERS: dict[str, Reader] = {
    "annotate": open_rds,
    "annotations": stored_of_rds,
    "artifacts": build_artifacts_of_rds,
    "companion": companion_of_rds,
    "consensus": consensus_of_rds,
    "markers": find_markers_of_rds,
    "page": report_of_rds,
    "pseudobulk": pseudobulk_of_rds,
    "reference": with_study_of_rds,
    "report": study_report_of_rds,
    "review": review_of_rds,
    "several": RdsOfSeveral,
    "singler": open_singler,
}
"""One for each of :data:`cellferry.study.inputs.readers.PURPOSES`."""
