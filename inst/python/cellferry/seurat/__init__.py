"""Seurat objects and SingleCellExperiments in Python, by rpy2 (the extra ``r``).

R runs inside this process, and the matrix that :func:`to_anndata` returns shares R's memory.
Importing this inside a Python that R started itself (reticulate) is refused: two embeddings in
one process crash or hang when it ends. The ``.rds`` command line needs none of this.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .session import refuse_inside_r

if TYPE_CHECKING:
    from .conversion import converter
    from .reading import to_anndata
    from .writing import to_seurat

refuse_inside_r()

_WHERE = {
    "converter": "conversion",
    "to_anndata": "reading",
    "to_seurat": "writing",
}

__all__ = ["converter", "to_anndata", "to_seurat"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
