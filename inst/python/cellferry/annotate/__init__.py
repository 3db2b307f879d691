"""From a study to annotations: the checks, the consent, the run, the completion."""

from .cells import annotate_cells
from .clusters import annotate_clusters
from .verb import resume

__all__ = ["annotate_cells", "annotate_clusters", "resume"]
