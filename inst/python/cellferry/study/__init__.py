"""What an engine reads: cells, clusters, genes, markers, expression. Read-only."""

from .clusters import Clusters
from .inventory import study_report
from .study import Context, Study

__all__ = ["Clusters", "Context", "Study", "study_report"]
