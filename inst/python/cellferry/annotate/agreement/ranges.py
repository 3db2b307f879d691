"""Labels of a file read by a cluster: each worker reads those of ranges of cells.

What a cluster saves a consensus is the reading: the columns of an atlas, texts above all, are read
and put into codes by workers. Votes are counted by one process, as they are without a cluster: that
is below a second for a million cells, and takes nothing from the workers but those codes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.agreement.request import Asked
from ...annotations.agreement.sources import Labelled, asked_annotators, needed_columns
from ...annotations.delivery import STORE
from ...artifacts.ranges.remembered import remembered
from ...errors import UnsupportedObjectError
from ...runs.units import Cluster, Job, Unit, even_length, opened_cluster
from ...runs.worker import run_in_worker
from ...study.expression.origin import Origin, check_same, fingerprint_of
from ...study.inputs.kinds import file_kind
from ...study.inputs.old_h5ad import read_uns

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events

RANGE = 500_000
"""Most cells of one unit."""
FEWEST = 16_384


def labels_by_ranges(
    path: Path, asked: Asked, scheduler: object, resume: str | os.PathLike[str] | None
) -> Labelled:
    """Return the labels of an .h5ad, of which workers read the columns that vote.

    Parameters
    ----------
    path
        The file, which every worker sees under this path.
    asked
        Who votes.
    scheduler
        As of :func:`~cellferry.runs.units.opened_cluster`.
    resume
        Id of a run whose cluster was lost.

    Raises
    ------
    UnsupportedObjectError
        It is no .h5ad, or one of anndata 0.6 and before.
    SchedulerError, InputError
    """
    found = _Opened.of(path)
    records = Labelled((), found.obs, found.stored).records()
    who = asked_annotators(found.names, records, asked.names, groups=asked.groups, key=asked.key)
    wanted = [c for c in needed_columns(who, found.names) if c in found.columns]
    with remembered("consensus", resume) as run:

        def work(events: Events) -> pd.DataFrame:
            with opened_cluster(scheduler) as cluster:
                return _read(found, wanted, cluster, run, events)

        obs = run_in_worker(work)
    return Labelled(tuple(map(str, obs.index)), obs, found.stored)


@dataclass(frozen=True)
class _Opened:
    """What is read here: names, the record, and what may be left to workers.

    Attributes
    ----------
    columns
        Name of each column that can be read by ranges -> its categories, None without.
    """

    path: Path
    names: Sequence[str]
    n_cells: int
    columns: Mapping[str, pd.Categorical | None]
    stored: Mapping[str, str]
    obs: pd.DataFrame
    """Without rows."""

    @classmethod
    def of(cls, path: Path) -> _Opened:
        import h5py
        import pandas as pd
        from anndata.io import read_elem

        known = file_kind(path)
        if known.name != "h5ad" or not known.is_anndata:
            message = f'The workers of a cluster read an .h5ad, and "{path}" is {known.what}.'
            raise UnsupportedObjectError(message, "Write the object as .h5ad, and give its path.")
        with h5py.File(path, "r") as file:
            obs = file["obs"]
            if not hasattr(obs, "keys") or obs.attrs.get("encoding-type") != "dataframe":
                message = f'The metadata of "{path}" is kept as anndata 0.6 kept it.'
                hint = "Leave `scheduler` out, or write the file again: adata.write_h5ad()."
                raise UnsupportedObjectError(message, hint)
            names = [str(n) for n in obs.attrs["column-order"]]
            columns: dict[str, pd.Categorical | None] = {}
            for name in names:
                item = obs[name]
                if isinstance(item, h5py.Dataset) and len(item.shape) == 1:
                    columns[name] = None
                elif item.attrs.get("encoding-type") == "categorical":
                    levels = pd.Index(read_elem(item["categories"]))
                    ordered = bool(item.attrs.get("ordered", False))
                    columns[name] = pd.Categorical([], categories=levels, ordered=ordered)
            uns = file.get("uns", {})
            kept: Any = read_uns(uns[STORE]) if STORE in uns else {}
            stored = {str(k): str(v) for k, v in dict(kept).items()}
            n_cells = int(obs[obs.attrs["_index"]].shape[0])
        empty = pd.DataFrame(columns=pd.Index(names, dtype="object"))
        return cls(path.resolve(), names, n_cells, columns, stored, empty)


def _read(
    opened: _Opened, wanted: Sequence[str], cluster: Cluster, run: Run, events: Events
) -> pd.DataFrame:
    """Return the metadata: some columns by workers, the others meanwhile here."""
    import h5py
    import pandas as pd
    from anndata.io import read_elem

    origin = Origin(str(opened.path), "/obs", fingerprint_of(opened.path))
    content: dict[str, Any] = {"values": origin.determining(), "columns": list(wanted)}
    name = f"{__name__}:"
    job = Job(f"{name}encoded", content, origin.to_dict(), f"{name}check")
    n = opened.n_cells
    step = even_length(n, FEWEST, RANGE)
    bounds = [(start, min(start + step, n)) for start in range(0, n, step)]
    units = [Unit(f"labels of cells {a + 1:,} to {b:,}", (a, b), b - a) for a, b in bounds]
    sent = cluster.begin(job, units, run, events, "cells")
    made: dict[str, Any] = {}
    with h5py.File(opened.path, "r") as file:
        obs = file["obs"]
        index = pd.Index(read_elem(obs[obs.attrs["_index"]]))
        for column in opened.names:
            events.check()
            if column not in wanted:
                made[column] = read_elem(obs[column])
    parts = [kept.arrays() for kept in sent]
    for number, column in enumerate(wanted):
        made[column] = _joined(parts, number, opened.columns[column])
    return pd.DataFrame({c: made[c] for c in opened.names}, index=index)


def _joined(
    parts: Sequence[Mapping[str, NDArray[Any]]], number: int, categories: pd.Categorical | None
) -> Any:
    """Return a column from those of all ranges, as anndata reads it."""
    import pandas as pd

    values = [part[f"values_{number}"] for part in parts]
    if categories is not None:
        codes = np.concatenate(values)
        return pd.Categorical.from_codes(codes, dtype=categories.dtype)
    if f"levels_{number}" not in parts[0]:
        return np.concatenate(values)
    texts = [
        np.array(json.loads(part[f"levels_{number}"].tobytes()), dtype=object)[codes]
        for part, codes in zip(parts, values, strict=True)
    ]
    return np.concatenate(texts)


# --- on the workers ---------------------------------------------------------------------


def check(where: Mapping[str, Any]) -> None:
    """Raise where this worker does not see the file."""
    check_same(Origin.from_dict(where))


def encoded(
    shared: Mapping[str, Any], where: Mapping[str, Any], start: int, stop: int
) -> dict[str, NDArray[Any]]:
    """Return columns of a range of cells: codes of categories and texts, numbers as they are."""
    import h5py

    origin = Origin.from_dict(where)
    check_same(origin)
    found: dict[str, NDArray[Any]] = {}
    with h5py.File(origin.path, "r") as file:
        for number, name in enumerate(shared["columns"]):
            item = file[origin.place][name]
            values = item["codes"] if isinstance(item, h5py.Group) else item
            if values.dtype.kind != "O":
                found[f"values_{number}"] = values[start:stop]
                continue
            place: dict[str, int] = {}
            texts = values.asstr(errors="surrogateescape")[start:stop].tolist()
            codes = [place.setdefault(text, len(place)) for text in texts]
            found[f"values_{number}"] = np.array(codes, np.int32)
            levels = json.dumps(list(place)).encode()
            found[f"levels_{number}"] = np.frombuffer(levels, np.uint8)
    return found
