"""The folder of a review: what its page shows, where it is served, and what was decided on it.

It is in the user's data folder and of its owner alone. Blocks of the page lie in it as they are
sent, so that the process that serves them has next to nothing in memory.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations.clusters import Annotations
from ..annotations.decisions.decision import order_hash
from ..annotations.decisions.in_force import with_decisions
from ..annotations.report.content import index_text
from ..errors import InputError
from ..files import PRIVATE, write_json, write_whole
from .decided import DECISIONS, decisions_in
from .places import home

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ..annotations.decisions.decision import Decision
    from ..annotations.report.content import Cells

SCHEMA = "cellferry.review/1"
RECORD = "review.json"
ID_DIGITS = 20


@dataclass(frozen=True, eq=False)
class Features:
    """Features of another assay that can be drawn.

    Attributes
    ----------
    key
        What their names begin with in Seurat, for example ``adt_``.
    names
        Of the features.
    values
        Cells x features, normalised.
    """

    key: str
    names: tuple[str, ...]
    values: NDArray[np.number]


@dataclass(frozen=True, eq=False)
class Reviewed:
    """What is looked at.

    Attributes
    ----------
    found
        The annotations of the object, with the cells that their rows have now.
    key
        Name of the label column.
    cells
        All cells, with their names and all metadata.
    genes
        Names of the genes whose values are read; none where there is no expression.
    measured
        Positions of the cells that have expression; None is all.
    features
        Of other assays.
    log_base
        Of the logarithms that the values are.
    """

    found: Annotations
    key: str
    cells: Cells
    genes: tuple[str, ...] = ()
    measured: NDArray[np.integer] | None = None
    features: tuple[Features, ...] = ()
    log_base: float = math.e

    @property
    def id(self) -> str:
        """Hash of all that the page shows, but for what was decided."""
        cells = self.cells
        assert cells.names is not None
        digest = hashlib.sha256(SCHEMA.encode())
        for part in (order_hash(cells.names), self.key, *self._rows(), order_hash(self.genes)):
            digest.update(f"{part}\n".encode("utf-8", "backslashreplace"))
        for name, values in cells.embeddings:
            digest.update(f"{name}\n".encode("utf-8", "backslashreplace"))
            digest.update(np.ascontiguousarray(values, dtype=np.float32).tobytes())
        if cells.obs is not None:
            digest.update(_metadata_hash(cells.obs, cells.own))
        if self.measured is not None:
            digest.update(np.ascontiguousarray(self.measured, dtype=np.int64).tobytes())
        for features in self.features:
            digest.update(f"{features.key}{features.names}".encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:ID_DIGITS]

    def _rows(self) -> Iterable[str]:
        provenance = self.found.provenance
        yield f"{provenance.get('run')} {provenance.get('created')}"
        for row in with_decisions(self.found, ()):
            yield json.dumps([row.cluster, row.label, row.status, row.ontology_id, row.confidence])


def _metadata_hash(obs: pd.DataFrame, own: frozenset[str]) -> bytes:
    import pandas as pd

    digest = hashlib.sha256()
    for i, name in enumerate(map(str, obs.columns)):
        # What was decided changes them.
        if name in own:
            continue
        column = obs.iloc[:, i]
        digest.update(f"{name} {column.dtype}\n".encode("utf-8", "backslashreplace"))
        try:
            hashed = pd.util.hash_pandas_object(column, index=False)
        except TypeError:
            hashed = pd.util.hash_pandas_object(column.map(str), index=False)
        digest.update(hashed.to_numpy().tobytes())
    return digest.digest()


@dataclass(frozen=True)
class ReviewFolder:
    """The folder of a review.

    Attributes
    ----------
    path
        Where it is.

    Examples
    --------
    >>> ReviewFolder.of("0123").path.name, ReviewFolder.of("0123").is_there
    ('0123', False)
    """

    path: Path

    @classmethod
    def of(cls, identifier: str) -> ReviewFolder:
        """Return the folder of a review by its id; it may not exist yet."""
        return cls(home() / "reviews" / identifier)

    @classmethod
    def opened(cls, path: str | os.PathLike[str]) -> ReviewFolder:
        """Return a folder that is there.

        Raises
        ------
        InputError
            It is none of a review.
        """
        found = cls(Path(path).expanduser())
        if not found.is_there:
            message = f'"{path}" is no folder of a review: it has no {RECORD}.'
            raise InputError(message, "Give the folder that the review was opened with.")
        return found

    @property
    def is_there(self) -> bool:
        """Whether it is complete."""
        return self.file(RECORD).is_file()

    def file(self, name: str) -> Path:
        """Return a file of the folder."""
        return self.path / name

    @property
    def decisions(self) -> Path:
        """The file to which decisions are added."""
        return self.file(DECISIONS)

    @property
    def address(self) -> Path:
        """The file that says where the page is served."""
        return self.file("address.json")

    @property
    def lists(self) -> Path:
        """The file with the lists of genes that somebody drew."""
        return self.file("lists.json")

    def gene_lists(self) -> list[dict[str, Any]]:
        """Return the lists, ``name`` and ``genes`` each; none where the file is damaged."""
        try:
            found = json.loads(self.lists.read_bytes())["lists"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return list(found)

    @property
    def done(self) -> Path:
        """The file that is there once somebody said *Done* on the page."""
        return self.file("done.json")

    @property
    def waiting(self) -> Path:
        """The file that is there while somebody waits for *Done*."""
        return self.file("waiting.json")

    @property
    def vars_h5(self) -> Path | None:
        """The values by gene, where there are any."""
        path = self.file("vars.h5")
        return path if path.is_file() else None

    def record(self) -> dict[str, Any]:
        """Return what is known of the review: ``key``, ``run``, ``n_cells``, ...

        Raises
        ------
        InputError
            It cannot be read.
        """
        try:
            found: dict[str, Any] = json.loads(self.file(RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f'The review in "{self.path}" cannot be read: {error}.'
            raise InputError(message, "Remove the folder, and open the review again.") from error
        return found

    def annotations(self) -> Annotations:
        """Return the annotations as they were when the folder was made."""
        return Annotations.from_json(self.file("annotations.json").read_text(encoding="utf-8"))

    def index(self) -> dict[str, Any]:
        """Return the index of the page as it was when the folder was made."""
        found: dict[str, Any] = json.loads(self.file("index.json").read_bytes())
        return found

    def measured(self) -> NDArray[np.integer] | None:
        """Return the positions of the cells that have expression; None is all."""
        path = self.file("measured.npy")
        return np.load(path) if path.is_file() else None

    def block(self, name: str) -> Path:
        """Return the file of a block, ``column/3`` for example."""
        return self.path / "blocks" / name.replace("/", "_")

    def write_block(self, name: str, content: bytes) -> None:
        """Write a block."""
        path = self.block(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def write_parts(self, reviewed: Reviewed, index: Mapping[str, Any]) -> None:
        """Write what is small: annotations, index and, at the end, the record."""
        found, cells = reviewed.found, reviewed.cells
        write_whole(self.file("annotations.json"), found.to_json(), mode=PRIVATE)
        write_whole(self.file("index.json"), index_text(index), mode=PRIVATE)
        if reviewed.measured is not None:
            np.save(self.file("measured.npy"), np.asarray(reviewed.measured, dtype=np.int32))
        run = found.provenance.get("run")
        content = {
            "schema": SCHEMA,
            "key": reviewed.key,
            "run": None if run is None else str(run),
            "n_cells": cells.n,
            "genes": len(reviewed.genes),
            "log_base": reviewed.log_base,
        }
        write_json(self.file(RECORD), content, mode=PRIVATE)

    def decided(self) -> list[Decision]:
        """Return what was decided on the page, the oldest first."""
        return decisions_in(self.path)

    def add_known(self, decisions: Sequence[Decision]) -> None:
        """Add decisions of the object that the folder does not have: those made elsewhere."""
        from .decisions import append_to

        known = {d.id for d in [*self.annotations().decisions, *self.decided()]}
        new = [d.to_dict() for d in decisions if d.id not in known]
        if new:
            kept = [{k: v for k, v in d.items() if k not in {"stale", "offered"}} for d in new]
            append_to(self.decisions, kept)
