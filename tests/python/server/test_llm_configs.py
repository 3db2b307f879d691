"""llm_configs: every provider, no secret in a message, no way into the private network."""

from pathlib import Path

import pytest

from cellferry.engines.service.providers import PROVIDERS
from cellferry.server.bodies import read
from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.llm_configs import Credentials, allowed, check_base_url
from cellferry.server.settings import Settings

SETTINGS = Settings(Path("x"))
OPENAI = {"provider": "openai", "name": "gpt", "apiKey": "canary-4711"}


def read_llm_configs(value, settings):
    return allowed(read(Credentials, {"llm_configs": value}).llm_configs, settings)


def test_all_fourteen_providers_are_known():
    for provider in PROVIDERS:
        (found,) = read_llm_configs([{**OPENAI, "provider": provider}], SETTINGS)
        assert found.provider == provider
    assert len(PROVIDERS) == 14


def test_shapes_of_r():
    (found,) = read_llm_configs({**OPENAI, "targetAgents": "annotator"}, SETTINGS)
    assert found.target_agents == ("annotator",)
    assert read_llm_configs([], SETTINGS) == read_llm_configs(None, SETTINGS) == ()
    (found,) = read_llm_configs([{**OPENAI, "modelSettings": []}], SETTINGS)
    assert found.model_settings == {}


def test_aws_credentials_are_all_or_none():
    aws = {"awsAccessKeyId": "a", "awsSecretAccessKey": "canary", "awsDefaultRegion": "r"}
    bedrock = {"provider": "bedrock", "name": "m"}
    (found,) = read_llm_configs([{**bedrock, **aws}], SETTINGS)
    assert found.to_wire() == {**bedrock, **aws}
    for missing in aws:
        part = {k: v for k, v in aws.items() if k != missing}
        with pytest.raises(Failure, match="all AWS"):
            read_llm_configs([{**bedrock, **part}], SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        ["x"],
        [{**OPENAI, "provider": "nobody"}],
        [{**OPENAI, "provider": ["openai"]}],
        [{**OPENAI, "name": ""}],
        [{**OPENAI, "apiKey": None}],
        [{**OPENAI, "apiKey": 5}],
        [{**OPENAI, "modelSettings": "x"}],
        [{**OPENAI, "targetAgents": ["spy"]}],
        [{**OPENAI, "targetAgents": False}],
        [{**OPENAI, "skipValidation": "yes"}],
        [OPENAI] * 51,
    ],
)
def test_wrong_configs_are_told_without_the_key(wrong):
    with pytest.raises(Failure) as caught:
        read_llm_configs(wrong, SETTINGS)
    assert caught.value.code is Code.LLM_VALIDATION_FAILED
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://localhost/v1",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1",
        "http://[::1]",
        "http://0x7f000001/",
        "http://2130706433/",
        "https://api.openai.com.evil.org/v1",
        "https://api.openai.com@10.0.0.1/",
        "https://api.openai.com#@10.0.0.1/",
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "file:///etc/passwd",
        "gopher://x",
        "https://",
    ],
)
def test_only_listed_origins_may_be_called(url):
    if url == "https://api.openai.com#@10.0.0.1/":
        # What follows the # is never sent: this is the public host itself.
        check_base_url(url, SETTINGS)
        return
    with pytest.raises(Failure):
        check_base_url(url, SETTINGS)


def test_whoever_runs_the_server_can_allow_more():
    allowing = Settings(Path("x"), base_urls=("http://localhost:11434/v1",))
    check_base_url("http://localhost:11434/v1", allowing)
    with pytest.raises(Failure):
        check_base_url("http://localhost:11435/v1", allowing)


def test_no_secret_in_a_repr_and_all_in_the_wire_form():
    (found,) = read_llm_configs([{**OPENAI, "modelSettings": {"t": 0}}], SETTINGS)
    assert "canary" not in repr(found)
    assert found.to_wire() == {**OPENAI, "modelSettings": {"t": 0}}
