"""All types of a table, and who is a kind of whom."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....errors import KnowledgeError, listing, nearest
from .tissues import ANYWHERE, nearest_tissues, occurs, tissues_of
from .types import SPECIES, CellType, Marker


@dataclass(frozen=True)
class Knowledge:
    """All types of a table, and who is whose ancestor.

    Attributes
    ----------
    own
        Names of the types that a user added: they win over packaged ones that fit alike.

    Raises
    ------
    KnowledgeError
        A parent does not exist, the hierarchy has a circle, or a symbol has two meanings.
    """

    types: tuple[CellType, ...]
    own: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        names = [t.name for t in self.types]
        for cell_type in self.types:
            for parent in cell_type.parents:
                if parent not in names:
                    guess = nearest(parent, names)
                    message = (
                        f'The type "{cell_type.name}" has the parent "{parent}", which is no row.'
                    )
                    raise KnowledgeError(message, f'Did you mean "{guess}"?' if guess else "")
        for name in names:
            if name in self.ancestors[name]:
                message = f'The type "{name}" is its own ancestor.'
                raise KnowledgeError(message, "Check the column parent.")
        for species in SPECIES:
            self.names_of_genes(species)

    @functools.cached_property
    def by_name(self) -> dict[str, CellType]:
        """Name -> type."""
        return {t.name: t for t in self.types}

    @functools.cached_property
    def ancestors(self) -> dict[str, dict[str, int]]:
        """Name -> its ancestors and how many steps up each is (the shortest way)."""
        found: dict[str, dict[str, int]] = {}
        for cell_type in self.types:
            steps: dict[str, int] = {}
            level = list(cell_type.parents)
            distance = 1
            while level:
                new = [p for p in level if p not in steps]
                steps.update(dict.fromkeys(new, distance))
                level = [p for name in new for p in self.by_name[name].parents]
                distance += 1
            found[cell_type.name] = steps
        return found

    @functools.cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """Name -> the rows that name it as a parent."""
        found: dict[str, list[str]] = {t.name: [] for t in self.types}
        for cell_type in self.types:
            for parent in dict.fromkeys(cell_type.parents):
                found[parent].append(cell_type.name)
        return {name: tuple(below) for name, below in found.items()}

    def related(self, one: str, other: str) -> bool:
        """Whether one is the other, or an ancestor or descendant of it."""
        return one == other or one in self.ancestors[other] or other in self.ancestors[one]

    def common_ancestor(self, one: str, other: str) -> str | None:
        """Return the narrowest type that contains both, or None.

        Narrowest is the one with most ancestors of its own; ties go by name.
        """
        above = [{name, *self.ancestors[name]} for name in (one, other)]
        shared = above[0] & above[1]
        return min(shared, key=lambda n: (-len(self.ancestors[n]), n), default=None)

    def ontology(self, name: str) -> tuple[str | None, str | None]:
        """Return id and label of the type, or of its nearest ancestor that has one."""
        above = self.ancestors[name]
        for candidate in (name, *sorted(above, key=lambda n: (above[n], n))):
            found = self.by_name[candidate]
            if found.ontology_id:
                return found.ontology_id, found.ontology_label
        return None, None

    def names_of_genes(self, species: str) -> Mapping[str, str]:
        """Return every symbol of a species -> the name its gene has in the table."""
        if species not in self._named:
            self._named[species] = self._names_of_genes(species)
        return self._named[species]

    @functools.cached_property
    def _named(self) -> dict[str, dict[str, str]]:
        """What was asked for before: it is asked for often, and takes as long as a table."""
        return {}

    def _names_of_genes(self, species: str) -> dict[str, str]:
        current: dict[str, str] = {}
        named = [m for m in self._markers(species) if len(m.symbols) > 1]
        leading = {m.name for m in named}
        for marker in named:
            for symbol in marker.symbols[1:]:
                if current.setdefault(symbol, marker.name) != marker.name or symbol in leading:
                    message = f'The gene name "{symbol}" stands for two genes of the table.'
                    raise KnowledgeError(message, "Keep it beside one current symbol only.")
        return {
            symbol: current.get(symbol, symbol)
            for marker in self._markers(species)
            for symbol in marker.symbols
        }

    @functools.cached_property
    def tissues(self) -> frozenset[str]:
        """All tissues that a type names."""
        return frozenset(x for t in self.types for x in t.tissues if x != ANYWHERE)

    def _markers(self, species: str) -> Iterable[Marker]:
        for cell_type in self.types:
            yield from cell_type.positive.get(species, ())
            yield from cell_type.negative.get(species, ())

    def restricted_to(self, tissue: str) -> Knowledge:
        """Return only the types that occur in a tissue (and those that occur in any).

        Raises
        ------
        KnowledgeError
            No type names such a tissue.
        """
        wanted = tissue.casefold()
        known = sorted(self.tissues)
        matching = tissues_of(tissue, known) or {x for x in known if x in wanted or wanted in x}
        if not matching:
            message = f'No type of the knowledge table occurs in "{tissue}".'
            near = " or ".join(f'"{name}"' for name in nearest_tissues(tissue, known))
            guess = f"Did you mean {near}? " if near else ""
            raise KnowledgeError(message, f"{guess}Tissues it knows: {listing(known, 60)}.")
        kept = {t.name for t in self.types if occurs(t.tissues, frozenset(matching))}
        kept |= {a for name in kept for a in self.ancestors[name]}
        return Knowledge(tuple(t for t in self.types if t.name in kept), self.own & kept)

    def merged_with(self, other: Knowledge | tuple[CellType, ...]) -> Knowledge:
        """Return both tables as one; a type of the other replaces one of the same name."""
        types = other.types if isinstance(other, Knowledge) else other
        new = {t.name for t in types}
        kept = tuple(t for t in self.types if t.name not in new)
        return Knowledge((*kept, *types), self.own | new)

    @functools.cached_property
    def digest(self) -> str:
        """A hash of everything in the table; the order of rows does not count."""
        content = "\n".join(sorted(repr(t) for t in self.types))
        return hashlib.sha256(content.encode()).hexdigest()
