import pytest
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError

from cellferry.engines.llm.client import is_transient, parameters, pause_of, said_by
from cellferry.engines.llm.replies import Answer
from cellferry.engines.service.answers import TRANSIENT


@pytest.mark.parametrize("status", sorted(TRANSIENT))
def test_what_may_pass_is_tried_again(status):
    assert is_transient(ModelHTTPError(status, "m"))


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_will_not_pass_is_not(status):
    assert not is_transient(ModelHTTPError(status, "m"))


def test_a_pause_of_hours_is_not_waited_for():
    assert is_transient(ModelHTTPError(429, "m", headers={"Retry-After": "30"}))
    assert not is_transient(ModelHTTPError(429, "m", headers={"Retry-After": "7200"}))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "0.5"}, 0.5), ({"retry-after": "3"}, 3.0), ({"Retry-After": "-4"}, 0.0),
     ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5), ({"Retry-After": "soon"}, None),
     ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0), (None, None)],
)  # fmt: skip
def test_the_pause_is_read_as_of_any_service(headers, seconds):
    assert pause_of(ModelHTTPError(429, "m", headers=headers)) == seconds


def test_a_pause_that_stands_in_the_body_is_known_too():
    assert pause_of(ModelHTTPError(429, "m", retry_after=14.0)) == 14.0
    assert pause_of(ModelConnectionError(model_name="m", message="lost")) is None


def test_a_lost_connection_is_tried_again_and_a_fault_of_ours_is_not():
    assert is_transient(ModelConnectionError(model_name="m", message="lost"))
    assert not is_transient(ValueError("x"))


def test_each_mode_asks_for_the_schema_in_its_way():
    tool, system = parameters(Answer, "tool", "S")
    assert (tool.output_mode, tool.output_tools[0].name, system) == ("tool", "answer", "S")
    schema, _ = parameters(Answer, "schema", "S")
    assert schema.output_object.json_schema["required"][0] == "cluster_token"
    plain, system = parameters(Answer, "prompted", "S")
    assert plain.output_mode == "text"
    assert system.startswith("S\n\nReply with one JSON object")
    assert '"supporting_genes"' in system


def test_what_a_service_said_is_repeated_short():
    body = {"error": {"message": "no " * 500}}
    said = said_by(ModelHTTPError(400, "m", body))
    assert said.startswith("status 400, no no")
    assert len(said) < 400
