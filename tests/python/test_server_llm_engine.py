"""The seam to the LLM engine."""

import pytest

import server_engine
from cellferry.engines import ENGINES
from cellferry.server.failures import Code, Failure
from cellferry.server.llm_configs import LLMConfig
from cellferry.server.llm_engine import llm_engine


@pytest.fixture(autouse=True)
def plugged(monkeypatch):
    monkeypatch.setitem(ENGINES, "llm", "server_engine:SlowModel")


def names(*configs, parallel=3):
    engine = llm_engine(configs, parallel)
    assert isinstance(engine, server_engine.SlowModel)
    assert engine.max_workers == parallel
    return [c["name"] for c in engine.configs]


def config(name, *agents):
    return LLMConfig("openai", name, api_key="k", target_agents=agents)


def test_the_first_annotates_and_a_reviewer_checks():
    assert names(config("a")) == ["a"]
    assert names(config("a"), config("b"), config("c")) == ["a", "b"]
    assert names(config("r", "reviewer"), config("a", "annotator")) == ["a", "r"]


def test_without_an_annotator_there_is_no_engine():
    with pytest.raises(Failure) as caught:
        llm_engine([config("r", "reviewer")], 1)
    assert caught.value.code is Code.LLM_VALIDATION_FAILED


def test_what_the_engine_refuses_is_told(monkeypatch):
    monkeypatch.setitem(ENGINES, "llm", "cellferry.engines.local:Local")
    with pytest.raises(Failure, match="has no option"):
        llm_engine([config("a")], 1)
