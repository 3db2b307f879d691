"""Large bodies are parsed in another process, and are answered as small ones are."""

import dataclasses

import numpy as np
import orjson
import pytest

from cellferry.server.failures import Code, Failure
from cellferry.server.parsing import parser as module
from cellferry.server.parsing.parser import SMALL_BYTES, Parser
from cellferry.server.settings import Settings
from server_process import submission

pytestmark = pytest.mark.process

CONFIG = {"provider": "openai", "name": "m", "apiKey": "canary-4711"}


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parser")
    found = Parser(Settings(folder, base_urls=("http://localhost:1",), clusters=50))
    yield found
    found.close()


def large(**parts):
    genes = {f"GENE{i}": {"0": i % 100, "1": None, "2": "NaN"} for i in range(5000)}
    body = orjson.dumps(submission(expressionData=genes, **parts))
    assert len(body) > SMALL_BYTES
    return body


def same(a, b):
    for field in dataclasses.fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        np.testing.assert_array_equal(one, other) if isinstance(one, np.ndarray) else None
        assert isinstance(one, np.ndarray) or one == other, field.name


def test_a_job_is_the_same_however_it_was_parsed(parser, monkeypatch):
    coordinates = {"coordinates": [[0, 1], [2, 3]], "clusters": ["0", "2"]}
    config = {**CONFIG, "baseUrl": "http://localhost:1/v1", "targetAgents": ["annotator"]}
    body = large(visualizationData=coordinates, llm_configs=config, visibility="public")
    there = parser.submission(body)
    assert parser._helper is not None
    monkeypatch.setattr(module, "SMALL_BYTES", 10**9)
    here = parser.submission(body)
    same(there.job, here.job)
    assert (there.uploads, there.visibility) == (here.uploads, here.visibility)
    assert [c.to_wire() for c in there.llm_configs] == [c.to_wire() for c in here.llm_configs]
    assert [c.target_agents for c in there.llm_configs] == [("annotator",)]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{" * (SMALL_BYTES + 1), Code.BAD_REQUEST, "not valid JSON"),
        (large(infoTags={"a": 3}), Code.VALIDATION_ERROR, "`infoTags"),
        (large(llm_configs=[{**CONFIG, "name": ""}]), Code.LLM_VALIDATION_FAILED, "llm_configs"),
        (
            large(llm_configs=[{**CONFIG, "baseUrl": "http://evil.org"}]),
            Code.LLM_VALIDATION_FAILED,
            "may not call",
        ),
        (
            large(markers={str(i): ["CD3D"] for i in range(51)}),
            Code.PAYLOAD_TOO_LARGE,
            "takes 50",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_same_words(parser, body, code, message, monkeypatch):
    with pytest.raises(Failure, match=message) as there:
        parser.submission(body)
    monkeypatch.setattr(module, "SMALL_BYTES", 10**9)
    with pytest.raises(Failure) as here:
        parser.submission(body)
    assert there.value.code is here.value.code is code
    assert there.value.message == here.value.message
    assert "canary" not in there.value.message


def test_a_helper_that_ended_costs_nothing_and_one_that_hangs_is_ended(parser, tmp_path):
    parser.submission(large())
    parser._helper._process.kill()
    assert parser.submission(large()).visibility == "private"
    hasty = Parser(Settings(tmp_path), seconds=0.01)
    with pytest.raises(Failure) as caught:
        hasty.submission(large())
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE
    assert hasty._helper is None
    hasty.close()


def test_cells_are_answered_there_too(parser, monkeypatch):
    n = 4000
    matrix = {"indptr": [*range(n + 1)], "indices": [i % 2 for i in range(n)], "data": [1.0] * n,
              "shape": [n, 2]}  # fmt: skip
    body = orjson.dumps({"genes": ["CD3D", "CD79A"], "matrix": matrix, "pad": "x" * SMALL_BYTES})
    there = orjson.loads(parser.cells(body))
    monkeypatch.setattr(module, "SMALL_BYTES", 10**9)
    assert there == orjson.loads(parser.cells(body))
    assert len(there["calls"]) == n
