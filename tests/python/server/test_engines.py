"""Which engine answers, and a fault that costs one cluster only."""

import pytest

from cellferry.engines import ENGINES
from cellferry.engines.base import Engine
from cellferry.errors import CredentialsRequiredError
from cellferry.runs.run import Run
from cellferry.runs.worker import CancelledWork, Events
from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.engines import PerClusterFallback, engine_of
from cellferry.server.jobs.llm_configs import LLMConfig
from cellferry.study.markers.read import read_markers
from cellferry.study.study import Clusters, Study
from server_engine import SlowModel

CONFIG = LLMConfig.model_validate({"provider": "openai", "name": "m", "apiKey": "k"})


def study(*names):
    return Study(Clusters(names), markers=read_markers({name: ["CD3D"] for name in names}))


def model(key="k"):
    return PerClusterFallback(SlowModel(llm_configs=[{"name": "m", "apiKey": key}], max_workers=1))


def test_the_local_engine_by_default_and_the_model_when_requested(monkeypatch):
    assert engine_of((), 2).name == "local"
    monkeypatch.setitem(ENGINES, "llm", {})  # its place stays, so that the order does too
    with pytest.raises(Failure) as caught:
        engine_of([CONFIG], 2)
    assert caught.value.code is Code.LLM_VALIDATION_FAILED
    monkeypatch.setitem(ENGINES, "llm", {"clusters": "server_engine:SlowModel"})
    assert engine_of([CONFIG], 2).name == "llm"


def test_it_is_an_engine_like_its_own(tmp_path):
    found = model()
    assert isinstance(found, Engine)
    assert found.describe() == {"models": ["m"]}
    assert found.plan(study("a")).clusters == 1
    assert found.capabilities.host == "api.openai.com"


def test_one_broken_cluster_costs_itself_only(tmp_path):
    found = model().run(study("a", "broken", "z"), Run.create("llm", tmp_path / "r"), Events())
    assert [row.status for row in found] == ["ok", "failed", "ok"]
    assert found.labels() == {"a": "label a", "broken": None, "z": "label z"}
    assert "RuntimeError" in found["broken"].error


def test_an_error_that_concerns_all_is_not_spread(tmp_path):
    with pytest.raises(CredentialsRequiredError):
        model("wrong").run(study("a"), Run.create("llm", tmp_path / "r"), Events())


def test_it_stops_when_it_is_told_to(tmp_path):
    events = Events()
    events.cancel()
    with pytest.raises(CancelledWork):
        model().run(study("a", "broken"), Run.create("llm", tmp_path / "r"), events)


def test_alone_and_together_the_local_engine_says_the_same(tmp_path):
    class Once:
        """The local engine, which breaks when it is given more than one cluster."""

        def __init__(self):
            self._engine = engine_of((), 1)._engine
            self.name = "local"

        def run(self, study, run, events):
            if len(study.clusters.names) > 1:
                raise RuntimeError
            return self._engine.run(study, run, events)

    table = {"0": ["CD79A", "MS4A1", "CD79B", "CD19"], "1": ["CD3D", "CD3E", "IL7R", "TRAC"]}
    both = Study(Clusters(("0", "1"), sizes=(3, 4)), markers=read_markers(table))
    whole = engine_of((), 1).run(both, Run.create("local", tmp_path / "a"), Events())
    parts = PerClusterFallback(Once()).run(both, Run.create("local", tmp_path / "b"), Events())
    assert parts.rows == whole.rows
