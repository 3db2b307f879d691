"""From a study to annotations: the checks, the consent, the run, the completion."""

from .objects import annotate_cells, annotate_clusters, resume
from .request import AnnotateRequest

__all__ = ["AnnotateRequest", "annotate_cells", "annotate_clusters", "resume"]
