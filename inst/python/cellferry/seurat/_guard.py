"""What must hold before R is run inside this process."""

from __future__ import annotations

import os
import sys

from ..errors import EmbeddingError


def refuse_inside_r() -> None:
    """Raise :class:`EmbeddingError` in a Python that R hosts.

    reticulate puts its module ``rpytools`` into such a Python. Where rpy2 had started R, and
    that R then started reticulate, Python is the host, and nothing is refused.
    """
    if "rpytools" not in sys.modules or _python_is_host():
        return
    message = (
        "R is running this Python through reticulate, so rpy2 cannot start a second R in it: the "
        "process would crash or hang."
    )
    hint = (
        "Use the object in R itself, AnnotateClusters(object), or save it with saveRDS() and run "
        "`cellferry annotate object.rds`."
    )
    raise EmbeddingError(message, hint)


def _python_is_host() -> bool:
    embedded = sys.modules.get("rpy2.rinterface_lib.embedded")
    # reticulate writes this before it starts Python; what R sets later, Python does not see.
    by_reticulate = 'NAME="reticulate"' in os.environ.get("R_SESSION_INITIALIZED", "")
    return embedded is not None and embedded.isinitialized() and not by_reticulate
