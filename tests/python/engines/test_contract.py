"""The contract that anybody's engine is tested with: ours keep it, and a wrong one is found."""

import inspect

import pytest

from atlas_server import AtlasServer
from cellferry import annotate_cells, annotate_clusters
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.engines import Capabilities, Plan
from cellferry.engines.cellatlas import CellAtlas
from cellferry.engines.contract import RESERVED, EngineContract, example_cells
from cellferry.engines.llm import LLM
from cellferry.engines.local import Local
from cellferry.engines.local.cells import LocalCells
from cytetype_runs import engine as cytetype_engine
from fault_server import FaultServer
from llm_server import Server

pytestmark = pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")


class TestLocal(EngineContract):
    def engine(self, **options):
        return Local(**options)


class TestLocalCells(EngineContract):
    level = "cells"

    def engine(self, **options):
        return LocalCells(**options)


class TestCellAtlas(EngineContract):
    """It asks a service, which is a real server on loopback."""

    level = "cells"

    @pytest.fixture(autouse=True)
    def _server(self):
        with AtlasServer().running() as self.server:
            yield

    def engine(self, **options):
        return CellAtlas(api_url=self.server.url, qc="off", **options)


class TestLLM(EngineContract):
    """It asks a model, which is a server on loopback."""

    @pytest.fixture(autouse=True)
    def _server(self):
        with Server() as self.server:
            yield

    def engine(self, **options):
        return LLM(**{
            "provider": "openai", "model": "m", "base_url": self.server.url, **options
        })  # fmt: skip


class TestCyteType(EngineContract):
    """It asks a service, which is a server on loopback; the artifacts are built and sent."""

    @pytest.fixture(autouse=True)
    def _server(self):
        with FaultServer(chunk_size=200_000) as self.server:
            yield

    def engine(self, **options):
        return cytetype_engine(self.server, **options)


class Right:
    """Keeps the contract; each wrong one below differs in one thing."""

    name = "right"
    once = ()

    def __init__(self, api_key=None, n=3):
        self.api_key, self.n = api_key, n

    @property
    def capabilities(self):
        return Capabilities(answers=frozenset({"clusters"}))

    def describe(self):
        return {"n": self.n}

    def plan(self, study):
        return Plan(self.name, len(study.clusters.names))

    def answer(self, study, cluster):
        genes = study.require("markers", self.name).select(n_genes=self.n)
        return Annotation(cluster, "ok", label=min(genes[cluster].genes), engine=self.name)

    def run(self, study, run, events):
        rows, done = [], run.finished()
        for cluster in study.clusters.names:
            events.check()
            if cluster not in done:
                done[cluster] = {"label": self.answer(study, cluster).label}
                run.record(cluster, cluster, done[cluster])
            rows.append(Annotation(cluster, "ok", label=done[cluster]["label"]))
        return Annotations(tuple(rows))


class TestRight(EngineContract):
    def engine(self, **options):
        return Right(**options)


class NoNumbers(Right):
    def plan(self, study):
        return Plan(self.name, 0)


class TellsTheKey(Right):
    def describe(self):
        return {"n": self.n, "api_key": self.api_key}


class PrintsTheKey(Right):
    def __repr__(self):
        return f"Right({self.api_key})"


class KeepsTheKey(Right):
    def run(self, study, run, events):
        run.store("asked.json", {"key": self.api_key})
        return super().run(study, run, events)


class LeavesOneOut(Right):
    def run(self, study, run, events):
        found = super().run(study, run, events)
        return Annotations(found.rows[:-1])


class OfThePlace(Right):
    def answer(self, study, cluster):
        return Annotation(cluster, "ok", label=f"type {study.clusters.names.index(cluster)}")


class OfTheMoment(Right):
    calls = 0

    def answer(self, study, cluster):
        OfTheMoment.calls += 1
        return Annotation(cluster, "ok", label=f"type {OfTheMoment.calls}")


class Deaf(Right):
    def run(self, study, run, events):
        return Annotations(tuple(self.answer(study, c) for c in study.clusters.names))


class Forgets(Right):
    def run(self, study, run, events):
        rows = []
        for cluster in study.clusters.names:
            events.check()
            rows.append(self.answer(study, cluster))
            run.record(cluster, cluster, {"label": rows[-1].label})
        return Annotations(tuple(rows))


class Calls(Right):
    def plan(self, study):
        import socket

        socket.create_connection(("127.0.0.1", 9), 0.1)


class CallsInSecret(Right):
    def answer(self, study, cluster):
        import socket

        socket.getaddrinfo("example.org", 80)
        return super().answer(study, cluster)


class SendsNowhere(Right):
    @property
    def capabilities(self):
        return Capabilities(sends=frozenset({"markers"}))


class TakesAnArgument(Right):
    def __init__(self, species=None):
        super().__init__()
        self.species = species


class NotPlain(Right):
    def describe(self):
        return {"n": (1, 2)}


WRONG = [
    (NoNumbers, "a_plan_makes_no_call"),
    (TellsTheKey, "no_secret_is_shown"),
    (PrintsTheKey, "no_secret_is_shown"),
    (KeepsTheKey, "no_secret_is_shown"),
    (LeavesOneOut, "everything_has_an_answer_in_its_place"),
    (OfThePlace, "the_order_changes_no_answer"),
    (OfTheMoment, "the_same_input_has_the_same_answer"),
    (Deaf, "an_interrupt_is_seen"),
    (Forgets, "an_interrupted_run_is_gone_on_with"),
    (Calls, "a_plan_makes_no_call"),
    (CallsInSecret, "everything_has_an_answer_in_its_place"),
    (SendsNowhere, "it_is_an_engine_that_says_what_it_does"),
    (TakesAnArgument, "it_is_an_engine_that_says_what_it_does"),
    (NotPlain, "the_description_makes_the_same_engine"),
]


@pytest.mark.parametrize(("wrong", "test"), WRONG)
def test_what_an_engine_does_wrong_is_found(wrong, test):
    class Contract(EngineContract):
        def engine(self, **options):
            return wrong(**options)

    with pytest.raises(AssertionError):
        getattr(Contract(), f"test_{test}")()


def test_no_option_may_have_the_name_of_an_argument():
    taken = set()
    for verb in (annotate_clusters, annotate_cells):
        named = inspect.signature(verb).parameters.values()
        taken |= {p.name for p in named if p.kind is not inspect.Parameter.VAR_KEYWORD}
    assert taken == RESERVED


def test_the_example_has_a_cell_without_counts_and_a_cluster_of_unknown_genes():
    adata = example_cells()
    assert adata.layers["counts"][-1].sum() == 0
    assert "3" in EngineContract().markers()
