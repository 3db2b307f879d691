"""Pictures of labels by matplotlib: embedding, confidence, markers, comparison, samples.

Each takes an AnnData that was labelled and has scanpy's habits: ``ax`` to draw into, ``show`` and
``save``, and an ``Axes`` that is returned. Labels have the colours of
:func:`cellferry.label_colors` and are in lineage order. Axes with a dark background get the colours
for a dark page. matplotlib is imported when something is drawn: the extra ``plots``.
"""

from .embedding import confidence, labels
from .markers import supporting
from .shares import compare, composition

__all__ = ["compare", "composition", "confidence", "labels", "supporting"]
