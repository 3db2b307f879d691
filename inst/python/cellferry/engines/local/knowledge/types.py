"""A cell type and its marker genes: one row of the table of knowledge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ....biology.genes import Species

SPECIES: tuple[Species, ...] = ("human", "mouse")


@dataclass(frozen=True)
class Marker:
    """One gene of a type: its names (the current symbol first) and its tier, 1 to 3.

    Tier 3 defines the type, 2 is typical, 1 supports.
    """

    symbols: tuple[str, ...]
    tier: int = 1

    @property
    def name(self) -> str:
        """The symbol by which the gene is known in the table."""
        return self.symbols[0]


@dataclass(frozen=True)
class CellType:
    """One row of the table.

    Attributes
    ----------
    parents
        Names of other rows; empty for a root.
    kind
        ``type``: an answer. ``group``: an answer only where its members cannot be
        separated. ``compartment``: has unrelated lineages, so that two of its members
        together are a mixture. ``state``: reported beside the label, never as one.
    positive, negative
        Species -> markers. A species without an entry is one in which the type is not known.
    """

    name: str
    ontology_id: str | None = None
    ontology_label: str | None = None
    parents: tuple[str, ...] = ()
    kind: str = "type"
    tissues: tuple[str, ...] = ()
    positive: Mapping[str, tuple[Marker, ...]] = field(default_factory=dict)
    negative: Mapping[str, tuple[Marker, ...]] = field(default_factory=dict)
    note: str = ""
