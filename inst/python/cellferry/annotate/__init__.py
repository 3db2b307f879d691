"""From a study to annotations: the checks, the consent, the run, the completion.

What is public is imported on first use (PEP 562): a command line that annotates a table needs
nothing of what labels an object.
"""

# No `from __future__ import annotations` here: it would hide the module of that name.
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .objects import annotate_cells, annotate_clusters, resume
    from .request import AnnotateRequest

__all__ = ["AnnotateRequest", "annotate_cells", "annotate_clusters", "resume"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from . import objects, request

    return getattr(request if name == "AnnotateRequest" else objects, name)
