"""What a labelled set of clusters or lists is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cellferry.study.study import Study


@dataclass(frozen=True)
class Dataset:
    """One labelled object as a study, with the truth of its groups.

    ``tissue`` is what a user would say of the sample; the engine is run with and without.
    ``kind`` is ``clusters`` (of an object, or a marker table of one), ``ten best genes`` or
    ``published lists``.
    """

    name: str
    use: str
    study: Study
    gold: dict[str, str]
    tissue: str | None
    kind: str = "clusters"
    species: Literal["human", "mouse"] = "human"

    def markers_only(self) -> Study:
        """The same as a marker table alone, filtered as ``FindAllMarkers(only.pos = TRUE)``."""
        return Study(self.study.clusters, markers=self.study.markers, context=self.study.context)
