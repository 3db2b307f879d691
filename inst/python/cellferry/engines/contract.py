"""The tests that every engine passes, for whoever writes one.

Subclass :class:`EngineContract` in a test module, say how the engine is made, and pytest runs them
all::

    from cellferry.engines.contract import EngineContract
    from its_package import Density

    class TestDensity(EngineContract):
        def engine(self, **options):
            return Density(**options)

They need nothing but pytest, start no service, and keep their runs in a folder of their own.
"""

from __future__ import annotations

import inspect
import json
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

from ..annotations.cells import CellAnnotations
from ..annotations.clusters import STATUSES, Annotations
from ..runs.run import Run
from ..runs.worker import CancelledWork, Events, run_in_worker
from ..study.build import study_from_anndata, study_of_cells
from .base import AnyEngine, Engine, Plan
from .service.addresses import is_loopback
from .service.secrets import names_secret

if TYPE_CHECKING:
    import anndata

    from ..annotations.delivery import Level
    from ..study.study import Study

PARTS = frozenset({
    "markers", "cells", "normalized", "counts", "coordinates", "obs", "var", "embeddings", "graph",
})  # fmt: skip
SENDS = frozenset({"markers", "expression", "metadata"})
RESERVED = frozenset({
    "data", "markers", "engine", "group_key", "key", "within", "tissue", "species",
    "study_context", "overwrite", "allow_upload", "levels", "progress", "dry_run", "resume",
    "output",
})  # fmt: skip
"""Arguments of the functions that annotate; an option of that name could not be given."""
KEY = "a-key-of-the-contract-0123456789"
MARKERS: Mapping[str, tuple[str, ...]] = {
    "B cell": ("CD79A", "MS4A1", "CD79B", "CD19", "BANK1"),
    "T cell": ("CD3D", "CD3E", "CD3G", "CD2", "IL32"),
    "Monocyte": ("CD14", "LYZ", "S100A9", "FCN1", "S100A8"),
}
OTHERS = (
    "ACTB", "GAPDH", "RPL3", "RPS6", "EEF1A1", "TUBB", "HSPA8", "PPIA", "ENO1", "LDHA", "PGK1",
    "TPI1", "ALDOA", "CFL1", "PFN1", "MYL6", "HNRNPA1", "NPM1", "NCL", "UBC",
)  # fmt: skip


def example_cells(n: int = 60, *, seed: int = 0) -> anndata.AnnData:
    """Return an AnnData of blood: log-normalised values, counts in a layer, clusters in ``obs``.

    Parameters
    ----------
    n
        Cells; a third of each of B cells, T cells and monocytes, in the clusters 0, 1 and 2 of the
        column ``cluster``. The last cell has no counts.
    seed
        Of the random counts.
    """
    import anndata
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix

    random = np.random.default_rng(seed)
    genes = [*(gene for names in MARKERS.values() for gene in names), *OTHERS]
    counts = random.poisson([0.03 if g not in OTHERS else 3 for g in genes], (n, len(genes)))
    types = list(MARKERS)
    for i in range(n):
        for gene in MARKERS[types[i % 3]]:
            counts[i, genes.index(gene)] += 1 + random.poisson(6)
    counts[-1] = 0
    sums = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return anndata.AnnData(
        csr_matrix(np.log1p(counts / sums * 10_000).astype(np.float32)),
        obs=pd.DataFrame(
            {"cluster": pd.Categorical([str(i % 3) for i in range(n)])},
            index=pd.Index([f"cell-{i}" for i in range(n)]),
        ),
        var=pd.DataFrame(index=pd.Index(genes)),
        layers={"counts": csr_matrix(counts.astype(np.float32))},
    )


class EngineContract:
    """What an engine promises, as tests; see the module's description.

    Attributes
    ----------
    level
        What the engine answers.
    group_key
        Column of :meth:`adata` with the clusters.
    """

    level: ClassVar[Level] = "clusters"
    group_key: ClassVar[str] = "cluster"

    def engine(self, **options: Any) -> AnyEngine:
        """Return the engine, new, with these options beside those that it needs.

        Parameters
        ----------
        options
            By name; the tests give keys only.
        """
        raise NotImplementedError

    def adata(self) -> anndata.AnnData:
        """Return the object that is annotated; each call returns the same values."""
        return example_cells()

    def markers(self) -> Mapping[str, object] | None:
        """Return the marker table of the clusters, None for those that the object holds.

        The cluster ``"3"`` of the default has genes that nobody knows.
        """
        known = {str(i): list(genes) for i, genes in enumerate(MARKERS.values())}
        return {**known, "3": ["NOGENE1", "NOGENE2", "NOGENE3"]}

    def study(self, *, turned: bool = False) -> Study:
        """Return what the engine reads; turned round, cells and clusters in reverse.

        Parameters
        ----------
        turned
            Whether the order is reversed.
        """
        adata = self.adata()
        if turned:
            adata = adata[::-1].copy()
        if self.level == "cells":
            return study_of_cells(adata, group_key=self.group_key)
        given = self.markers()
        column = adata.obs[self.group_key].astype("category")
        extra = [name for name in given or () if name not in set(map(str, column.cat.categories))]
        column = column.cat.add_categories(extra)
        if turned:
            column = column.cat.reorder_categories(list(column.cat.categories)[::-1])
        adata.obs[self.group_key] = column
        return study_from_anndata(adata, given, group_key=self.group_key)

    def test_it_is_an_engine_that_says_what_it_does(self) -> None:
        """The protocol, capabilities, and options that can be given."""
        engine = self.engine()
        assert isinstance(engine, Engine), "describe(), plan(), run(), name and capabilities"
        found = engine.capabilities
        assert found.answers == {self.level}, f"it answers {set(found.answers)}"
        assert found.needs | found.uses <= PARTS, f"parts of a study are {sorted(PARTS)}"
        assert found.sends <= SENDS, f"what may be sent is {sorted(SENDS)}"
        assert (found.host is None) == (not found.sends), "it sends something: to which host?"
        options = inspect.signature(type(engine)).parameters
        kinds = {p.kind for p in options.values()}
        many = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
        assert not kinds & many, "every option must have a name"
        taken = RESERVED & set(options)
        assert not taken, f"{sorted(taken)} are arguments of annotate_clusters()"

    def test_the_description_makes_the_same_engine(self) -> None:
        """A run remembers ``describe()`` and is gone on with by it."""
        engine = self.engine()
        described = dict(engine.describe())
        assert json.loads(json.dumps(described)) == described, "it must be plain data"
        made = type(engine)
        again: AnyEngine = made(**described)
        assert dict(again.describe()) == described

    def test_no_secret_is_shown(self) -> None:
        """Neither by ``describe()``, ``repr()`` and ``str()`` nor in the folder of a run."""
        options = inspect.signature(type(self.engine())).parameters
        secrets = {name: KEY for name in options if names_secret(name)}
        engine = self.engine(**secrets)
        shown = [json.dumps(dict(engine.describe())), repr(engine), str(engine)]
        assert not [text for text in shown if KEY in text], "a key is shown"
        with _folder() as folder:
            self._answer(engine, self.study(), folder)
            files = [p.read_bytes() for p in folder.rglob("*") if p.is_file()]
        assert not [data for data in files if KEY.encode() in data], "a key is in the run"

    def test_a_plan_makes_no_call(self) -> None:
        """The dry run: no network, and the numbers of the study."""
        engine, study = self.engine(), self.study()
        with _no_network(loopback=False):
            plan = engine.plan(study)
        assert isinstance(plan, Plan)
        assert plan.engine == engine.name
        assert plan.clusters == len(study.clusters.names)
        if self.level == "cells":
            assert plan.cells == len(study.cells or ()), "how many cells"

    def test_everything_has_an_answer_in_its_place(self) -> None:
        """One row for each cluster or cell, in the study's order; failures are rows."""
        study = self.study()
        with _folder() as folder:
            found = self._answer(self.engine(), study, folder)
        if isinstance(found, CellAnnotations):
            assert found.cells == study.cells
        else:
            assert tuple(row.cluster for row in found) == tuple(study.clusters.names)
        assert sum(found.counts().values()) == len(found)
        assert set(found.counts()) <= set(STATUSES)

    def test_the_same_input_has_the_same_answer(self) -> None:
        """Twice, by two engines."""
        with _folder() as one, _folder() as other:
            first = self._answer(self.engine(), self.study(), one)
            second = self._answer(self.engine(), self.study(), other)
        assert _plain(first) == _plain(second)

    def test_the_order_changes_no_answer(self) -> None:
        """Cells and clusters the other way round."""
        with _folder() as one, _folder() as other:
            first = self._answer(self.engine(), self.study(), one)
            turned = self._answer(self.engine(), self.study(turned=True), other)
        assert _plain(first) == _plain(turned)

    def test_an_interrupt_is_seen(self) -> None:
        """``events.check()`` is called before anything is answered."""
        events = Events()
        events.cancel()
        with _folder() as folder:
            run = Run.create(self.engine().name, folder, remembered=False)
            try:
                self.engine().run(self.study(), run, events)
            except CancelledWork:
                return
        message = "the engine does not call events.check()"
        raise AssertionError(message)

    def test_an_interrupted_run_is_gone_on_with(self) -> None:
        """The answer is that of a run that was not stopped, and no unit is done twice.

        A unit may be noted before it is done, as a request whose answer is still to come, and again
        with what was not known then; what was noted of it stays.
        """
        with _folder() as folder:
            whole = _plain(self._answer(self.engine(), self.study(), folder))
        for stop in (1, 2, 3):
            with _folder() as folder:
                run = Run.create(self.engine().name, folder, remembered=False)
                events = _StopsAt(stop)
                with suppress(CancelledWork):
                    self.engine().run(self.study(), run, events)
                kept = Run.open(folder).finished()
                again = self._answer(self.engine(), self.study(), folder, Run.open(folder))
                assert _plain(again) == whole, f"stopped after {stop} units it answers otherwise"
                finished = Run.open(folder).finished()
                assert all(_more(finished[key], kept[key]) for key in kept), "a unit was changed"
                lines = (folder / "journal.jsonl").read_text("utf-8").splitlines() if kept else []
                noted: dict[str, Mapping[str, Any]] = {}
                for line in map(json.loads, lines):
                    before, now = noted.get(line["key"]), line["payload"]
                    done_again = before is not None and (now == before or not _more(now, before))
                    assert not done_again, "a finished unit was done again"
                    noted[line["key"]] = now

    def _answer(
        self, engine: AnyEngine, study: Study, folder: Path, run: Run | None = None
    ) -> Annotations | CellAnnotations:
        """Run the engine as cellferry does: in a worker; without network where it sends nothing."""
        made = run or Run.create(engine.name, folder, remembered=False)

        def work(events: Events) -> Annotations | CellAnnotations:
            return engine.run(study, made, events)

        if engine.capabilities.sends:
            return run_in_worker(work)
        with _no_network():
            return run_in_worker(work)


def _more(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether all that was noted is noted still; None is what was not known then."""
    return all(value is None or now.get(name) == value for name, value in before.items())


class _StopsAt(Events):
    """Events of a user who interrupts at the n-th look for it."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._left = n

    def check(self) -> None:
        """Raise once it was called n times before."""
        if self._left == 0:
            self.cancel()
        self._left -= 1
        super().check()


def _plain(found: Annotations | CellAnnotations) -> dict[str, tuple[object, ...]]:
    """Return name -> what was answered, rounded as far as another order may change a sum."""
    if isinstance(found, CellAnnotations):
        frame = found.to_frame(lists=False)
        columns = [frame[name].astype(object) for name in ("label", "status", "ontology_id")]
        sure = [None if c != c else round(float(c), 4) for c in frame["confidence"]]  # noqa: PLR0124 - NaN
        texts = ([None if v != v else v for v in column] for column in columns)  # noqa: PLR0124 - NaN
        return dict(zip(map(str, frame.index), zip(*texts, sure, strict=True), strict=True))
    return {
        row.cluster: (
            row.label, row.status, row.ontology_id,
            None if row.confidence is None else round(row.confidence, 4),
        )
        for row in found
    }  # fmt: skip


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cellferry-") as name:
        yield Path(name) / "run"


@contextmanager
def _no_network(*, loopback: bool = True) -> Iterator[None]:
    """Fail where another machine is looked up or connected to; `loopback`: this one may be."""
    found = {
        name: (place, getattr(place, name))
        for place, names in ((socket.socket, ("connect", "connect_ex")), (socket, ("getaddrinfo",)))
        for name in names
    }

    def refusing(name: str) -> Callable[..., object]:
        real = found[name][1]

        def refuse(*given: Any, **named: Any) -> object:
            # Of connect() the first is the socket, and the address a pair or a path.
            address = given[0] if name == "getaddrinfo" else given[1]
            host = address[0] if isinstance(address, tuple) else address
            is_path = name != "getaddrinfo" and not isinstance(address, tuple)
            if loopback and (is_path or host is None or is_loopback(str(host))):
                return real(*given, **named)
            message = f"the network is used, and nothing may be sent: {host}"
            raise AssertionError(message)

        return refuse

    patches = [mock.patch.object(found[name][0], name, refusing(name)) for name in found]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
