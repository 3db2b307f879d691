"""What a labelled set of clusters or lists is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cellferry.study.study import Study


@dataclass(frozen=True)
class Dataset:
    """One labelled object as a study, with the truth of its groups.

    ``tissue`` is what a user would say of the sample; the engine is run with and without.
    ``kind`` is ``clusters`` (of an object, or a marker table of one), ``ten best genes`` or
    ``published lists``. ``broad`` and ``near`` are terms that are half right for a group: all
    kinds of the one, and exactly the others (ids separated by ``;``). Data of one ``source`` come
    from one study.
    """

    name: str
    use: str
    study: Study
    gold: dict[str, str]
    tissue: str | None
    kind: str = "clusters"
    species: Literal["human", "mouse"] = "human"
    broad: Mapping[str, str] = field(default_factory=dict)
    near: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def markers_only(self) -> Study:
        """The same as a marker table alone, filtered as ``FindAllMarkers(only.pos = TRUE)``."""
        return Study(self.study.clusters, markers=self.study.markers, context=self.study.context)
