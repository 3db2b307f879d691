"""What the tests of markers need, from ranges of genes that workers of a cluster read."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ...files import file_hash, write_whole
from ...runs.units import Cluster, Job, Unit, packed
from ...study.clusters import Clusters
from ...study.markers.contrasts import Contrast
from ...study.markers.rules import MarkerOptions
from ...study.markers.wilcoxon import Groups
from ..marker_sums import MarkerSums
from . import by_gene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.expression.source import ExpressionSource

GROUPS = "groups.npz"


def read_sums_on(
    cluster: Cluster,
    source: ExpressionSource,
    sums: MarkerSums,
    run: Run,
    events: Events,
    *,
    keep: bool = False,
) -> MarkerSums:
    """Fill sums as :func:`~cellferry.artifacts.marker_sums.read_marker_sums` does, by a cluster.

    Parameters
    ----------
    cluster
        Does the work.
    source
        Cells x genes, log-normalised, in a file.
    sums
        Filled, and returned; none of their draws may be given from elsewhere.
    run
        Remembers each range; its folder must be seen by all workers.
    events
        Receives progress; stops the work when the user interrupts.
    keep
        Whether the pieces are left for who reads them next.
    """
    found = by_gene.values_by_gene(cluster, source, run, events)
    groups = written_groups(run.folder / GROUPS, sums.contrasts, sums.samples)
    options = {k: _plain(v) for k, v in asdict(sums.options).items()}
    content = {**found.determining, "groups": groups, "options": options}
    where = {**found.where, "groups": str((run.folder / GROUPS).resolve())}
    name = f"{__name__}:"
    job = Job(f"{name}summed", content, where, f"{name}check")
    units = [Unit(f"genes {a + 1:,} to {b:,}", (a, b), b - a) for a, b in found.ranges]
    results = cluster.begin(job, units, run, events, "genes")
    for (start, _), kept in zip(found.ranges, results, strict=True):
        sums.put(start, kept.arrays())
    if not keep:
        shutil.rmtree(run.folder / by_gene.FOLDER, ignore_errors=True)
    return sums


def _plain(value: Any) -> Any:
    """Return an option as JSON has it: infinity is text."""
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _options(given: Mapping[str, Any]) -> MarkerOptions:
    texts = {"min_diff_pct", "logfc_threshold"}
    plain: dict[str, Any] = {
        k: float(v) if k in texts and isinstance(v, str) else v for k, v in given.items()
    }
    return MarkerOptions(**plain)


def written_groups(path: Path, contrasts: Sequence[Contrast], samples: Clusters | None) -> str:
    """Write groups of cells to a file that workers read; return its hash."""
    arrays: dict[str, NDArray[Any]] = {}
    for number, contrast in enumerate(contrasts):
        arrays[f"codes_{number}"] = contrast.groups.codes
    names = [list(contrast.names) for contrast in contrasts]
    if samples is not None and samples.codes is not None:
        arrays["samples"] = samples.codes
    said = {"names": names, "samples": None if samples is None else list(samples.names)}
    text = json.dumps(said).encode("utf-8", "surrogatepass")
    arrays["said"] = np.frombuffer(text, np.uint8)
    content = packed(arrays)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


# --- on the workers ---------------------------------------------------------------------


def check(where: Mapping[str, Any]) -> None:
    """Raise where this worker does not see what it needs."""
    by_gene.check(where)
    if not Path(where["groups"]).is_file():
        message = f'There is no file "{where["groups"]}" here, which says who is compared.'
        hint = "Set CELLFERRY_HOME to a folder on a disk that all workers share."
        raise InputError(message, hint, path=where["groups"])


def summed(
    shared: Mapping[str, Any], where: Mapping[str, Any], first: int, last: int
) -> dict[str, NDArray[Any]]:
    """Return the sums of a range of genes."""
    contrasts, samples = read_groups(where["groups"], shared["groups"])
    names = [""] * (last - first)
    sums = MarkerSums(names, contrasts, _options(shared["options"]), samples=samples)
    sums.take(0, by_gene.genes_between(where, first, last))
    return sums.arrays()


@functools.lru_cache(maxsize=2)
def read_groups(path: str, expected: str) -> tuple[Sequence[Contrast], Clusters | None]:
    """Return what :func:`written_groups` wrote."""
    file = Path(path)
    if file_hash(file) != expected:
        message = f'The file "{path}" is another one than was written for this work.'
        raise InputError(message, "Begin again.", path=path)
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as read:
        arrays = {name: read[name] for name in read.files}
    said = json.loads(arrays["said"].tobytes().decode("utf-8", "surrogatepass"))
    contrasts = [
        Contrast(tuple(names), Groups(arrays[f"codes_{number}"], len(names)))
        for number, names in enumerate(said["names"])
    ]
    samples = said["samples"]
    return contrasts, None if samples is None else Clusters(tuple(samples), arrays.get("samples"))
