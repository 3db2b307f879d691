"""Models of bodies: what is checked is what is documented, and what is said of the rest."""

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cellferry.server.bodies import filled, read
from cellferry.server.failures import Code, Failure
from cellferry.server.http.bodies import Complete, Initiate
from cellferry.server.http.openapi import document
from cellferry.server.jobs.llm_configs import Credentials
from cellferry.server.jobs.payload import Submission, UploadedFiles
from cellferry.server.lookup.counts import CountsRequest
from cellferry.server.settings import FILE_KINDS
from server_process import submission

CANARY = "canary-4711"
OPENAI = {"provider": "openai", "name": "m", "apiKey": CANARY}
UPLOAD = "8c5b2d3e-0000-4000-8000-000000000000"


def documented(name):
    """Return the validator of a schema of the document."""
    components = document()["components"]
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def is_read(model, content):
    try:
        read(model, content)
    except Failure:
        return False
    return True


@pytest.mark.parametrize(
    "parts",
    [
        {},
        # R: an empty named list, NULL, a list of one, and numbers that are missing.
        {"infoTags": [], "clusterLabels": [], "clientInfo": [], "visualizationData": []},
        {"clusterMetadata": []},
        {"clusterMetadata": {"0": [], "1": {"donor": []}}},
        {"markerGenes": {"0": "CD3D", "1": ["CD79A"], "2": None}},
        {"expressionData": {"CD3D": {"0": "NaN", "1": "NA", "2": None}, "LYZ": []}},
        {"llm_configs": OPENAI},
        {"llm_configs": [{**OPENAI, "targetAgents": "annotator", "modelSettings": []}]},
        {"uploaded_files": []},
        # Python: every field, nulls included.
        {"visualizationData": {"coordinates": None, "clusters": []}},
        {"visualizationData": {"coordinates": [[1, 2.5], [None, 3]], "clusters": ["0", "1"]}},
        {"expressionData": {"": {"0": 0, "1": 100, "2": 99.99}}},
        {"nParallelClusters": 50, "clientInfo": {"clientType": "anndata", "clientVersion": None}},
        {"nParallelClusters": 2.0},
        {"llm_configs": [{**OPENAI, "baseUrl": None, "targetAgents": [], "skipValidation": False}]},
        {"uploaded_files": {"vars_h5": UPLOAD, "obs_duckdb": None}, "visibility": "org"},
        {"studyInfo": None, "infoTags": None, "visibility": None, "unknown": 1},
    ],
)
def test_what_clients_send_is_taken_and_documented(parts):
    body = submission(**parts)
    assert is_read(Submission, body)
    documented("Submission").validate(body)


VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 2.5, "", "NaN", "eq", "in", "openai", UPLOAD]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["0", "a", "value", "provider"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def objects(*names):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES))


FILTER = objects("column", "op", "value", "more")
PART = objects("ETag", "PartNumber")


@given(
    st.sampled_from(["Initiate", "Complete", "CountsRequest"]),
    st.one_of(
        objects("file_size_bytes", "parts", "filters", "group_by"),
        st.fixed_dictionaries({"filters": st.lists(FILTER, max_size=2)}),
        st.fixed_dictionaries({"parts": st.lists(PART, max_size=2)}),
        VALUES,
    ),
)
def test_what_is_read_is_what_is_documented(name, content):
    models = {"Initiate": Initiate, "Complete": Complete, "CountsRequest": CountsRequest}
    documents = documented(name).is_valid(content)
    taken = is_read(models[name], content)
    # Which value an operator takes is said in words.
    assert taken == documents or (name == "CountsRequest" and documents)


@given(
    st.dictionaries(
        st.sampled_from([*submission()["input_data"], "clientInfo"]), VALUES, max_size=3
    )
)
def test_a_job_that_is_read_is_as_documented(parts):
    body = submission(**{name: value for name, value in parts.items() if value is not None})
    if is_read(Submission, body) and not (parts.get("visualizationData") or {}):
        documented("Submission").validate(body)


@given(st.dictionaries(st.sampled_from(["provider", "name", "apiKey", "baseUrl"]), VALUES))
def test_any_config_is_read_or_refused_without_its_key(parts):
    content = {"llm_configs": [{**OPENAI, **parts, "awsSecretAccessKey": CANARY}]}
    try:
        said = repr(read(Credentials, content).llm_configs[0])
    except Failure as failure:
        said = f"{failure.code} {failure}"
    assert CANARY not in said
    assert said.startswith(("LLMConfig(", Code.LLM_VALIDATION_FAILED))


def test_the_files_of_a_job_are_the_kinds_of_uploads():
    assert tuple(UploadedFiles.model_fields) == FILE_KINDS


@pytest.mark.parametrize(
    ("model", "content", "message"),
    [
        (Submission, [], "The body must be an object, not []."),
        (Submission, {}, "The body must have `input_data`."),
        (Submission, {"input_data": {}}, "`input_data` must have `markerGenes`."),
        (
            Submission,
            submission(markerGenes={"a": ["x", 5]}),
            "`markerGenes['a'][1]` must be text, not 5.",
        ),
        (
            Submission,
            submission(expressionData={"studyInfo": {"0": -1}}),
            "`expressionData['studyInfo']['0']` must be a percentage from 0 to 100, not -1.",
        ),
        (
            Submission,
            submission(uploaded_files={"b\n": None}),
            "`uploaded_files` may have `obs_duckdb`, `vars_h5`, not 'b\\n'.",
        ),
        (
            Credentials,
            {"llm_configs": [OPENAI, {**OPENAI, "name": None}]},
            "`llm_configs[1].name` must be text, not None.",
        ),
        (
            Credentials,
            {"llm_configs": [{**OPENAI, "apiKey": f"{CANARY}\n{CANARY}"}]},
            "`llm_configs[0].apiKey` must be one line of ASCII text.",
        ),
        (Credentials, {"llm_configs": CANARY}, "`llm_configs[0]` must be an object."),
        (
            CountsRequest,
            {"filters": [{"column": "a", "op": "eq"}, {"column": "a", "op": "="}]},
            "`filters[0]` must have text, a number, true or false as `value`.",
        ),
        (Complete, {"parts": [{"ETag": "a"}]}, "`parts[0]` must have `PartNumber`."),
    ],
)
def test_the_message_names_the_place(model, content, message):
    with pytest.raises(Failure) as caught:
        read(model, content)
    assert caught.value.message == message


def test_a_name_of_a_cluster_does_not_change_the_code():
    body = submission(infoTags={"llm_configs": 5})
    with pytest.raises(Failure) as caught:
        read(Submission, body)
    assert caught.value.code is Code.VALIDATION_ERROR


def test_nothing_keeps_the_body_of_a_refused_request():
    with pytest.raises(Failure) as caught:
        read(Credentials, {"llm_configs": [{"apiKey": CANARY}]})
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "parts",
    [
        {"infoTags": {"0": 5, "1": 5}},
        {"markerGenes": {"0": [5, 5], "1": 5}},
        {"expressionData": {"a": {"0": "x", "1": "x"}, "b": 5}},
        {"clusterMetadata": {"0": {"a": 5, "b": 5}, "1": 5}},
        {"visualizationData": {"coordinates": [[1], [1]], "clusters": []}},
        {"llm_configs": [5, 5]},
    ],
)
def test_a_body_is_given_up_at_its_first_error(parts):
    """Or a large one would need memory for millions of them."""
    with pytest.raises(ValidationError) as caught:
        Submission.model_validate(submission(**parts))
    assert caught.value.error_count() == 1


def test_bodies_that_may_be_empty():
    assert filled(None) == filled([]) == {}
    assert filled({"a": 1}) == {"a": 1}
    assert filled(False) is False
