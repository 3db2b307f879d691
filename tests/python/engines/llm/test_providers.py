import asyncio
import importlib.util

import pytest

from cellferry import errors
from cellferry.engines.llm import providers
from cellferry.engines.llm.endpoints import MODELS_OF, endpoint
from cellferry.engines.llm.providers import check_packages, open_model, open_pool
from cellferry.engines.service.secrets import Secret
from llm_cases import TWO, ask
from paths import ROOT


def opened(provider, base_url=None):
    async def main():
        found = endpoint(provider=provider, model="openai/m", base_url=base_url)
        async with open_pool([found], 3, 5.0) as pool:
            return open_model(found, Secret("sk-1", "api_key"), pool, 5.0), pool

    return asyncio.run(main())


@pytest.mark.parametrize("provider", MODELS_OF)
def test_every_provider_has_a_model_whose_package_never_tries_again(provider, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    model, pool = opened(provider)
    assert model.model_name == "openai/m"
    if provider in {"openai", "anthropic", "openrouter", "groq"}:
        assert model.client.max_retries == 0
    if provider != "bedrock":
        assert len(pool._clients) == 1
    assert "sk-1" not in repr(model)


@pytest.mark.parametrize("provider", [p for p in MODELS_OF if p != "bedrock"])
def test_the_address_is_used_as_given(provider):
    model, _ = opened(provider, "http://127.0.0.1:1/Some/Path/V1")
    assert str(model.base_url or "").rstrip("/") == "http://127.0.0.1:1/Some/Path/V1"


def test_a_missing_package_is_reported_with_the_line_that_installs_it(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pydantic_ai" else real(name)
    )
    with pytest.raises(errors.DependencyError) as caught:
        check_packages("openai")
    assert '-m pip install "pydantic-ai-slim[' in caught.value.hint


def test_the_line_that_installs_is_that_of_the_extra():
    import tomllib

    project = ROOT / "pyproject.toml"
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras["llm"] == [providers.REQUIREMENT]


def test_a_model_that_cannot_be_is_refused_early():
    with pytest.raises(errors.InvalidOptionError, match="must name the maker"):
        endpoint(provider="openrouter", model="gpt-5")


def test_bedrock_without_a_region_says_what_to_set(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(errors.CredentialsRequiredError, match="Bedrock"):
        opened("bedrock")


DIALECTS = [
    ("openai", "m", "/chat/completions"), ("openrouter", "openai/gpt-4o", "/chat/completions"),
    ("groq", "m", "/openai/v1/chat/completions"), ("mistral", "m", "/v1/chat/completions"),
    ("anthropic", "claude-sonnet-4-6", "/v1/messages"),
    ("google", "gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
    ("bedrock", "anthropic.claude-x", "/model/anthropic.claude-x/converse"),
]  # fmt: skip


@pytest.fixture
def region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")


def of_provider(provider, model, **more):
    # The package of Bedrock sends a token by https only; credentials of AWS sign any request.
    key = {} if provider == "bedrock" else {"api_key": "sk-1"}
    return {"provider": provider, "model": model, **key, **more}


@pytest.mark.usefixtures("region")
@pytest.mark.parametrize(("provider", "model", "path"), DIALECTS)
@pytest.mark.parametrize("reasoning", [None, "low"])
def test_providers_over_real_http(llm_server, provider, model, path, reasoning):
    found = ask(llm_server, TWO, **of_provider(provider, model, reasoning=reasoning))
    assert found.labels() == {"0": "B cell", "1": "T cell"}
    assert {r["path"] for r in llm_server.log} == {path}
    keys = {r["key"].removeprefix("Bearer ").split("/")[0] for r in llm_server.log}
    signed = {"AWS4-HMAC-SHA256 Credential=AKIDTEST"}
    assert keys == (signed if provider == "bedrock" else {"sk-1"})
    assert (found["0"].input_tokens, found["0"].output_tokens) == (2000, 200)


@pytest.mark.usefixtures("region")
@pytest.mark.parametrize(("provider", "model", "path"), DIALECTS)
@pytest.mark.parametrize("fault", ["truncated_text", "refusal", "fenced", "no_tools"])
def test_providers_answer_badly_in_their_own_dialect(llm_server, provider, model, path, fault):
    llm_server.script = {("B cell", "annotator"): [fault, "..."]}
    found = ask(llm_server, TWO, **of_provider(provider, model))
    assert found["1"].label == "T cell"
    if fault in {"fenced", "no_tools"}:
        assert found["0"].label == "B cell"
    else:
        assert found["0"].status == "failed"
        assert ("cut off" if fault == "truncated_text" else "refused") in found["0"].error
        assert found["0"].input_tokens >= 1000


@pytest.mark.usefixtures("region")
@pytest.mark.parametrize(("provider", "model", "path"), DIALECTS)
@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [("401", errors.CredentialsRequiredError, "scripted"), ("402", errors.ServiceError, "credit"),
     ("retired", errors.ServiceError, "retired")],
)  # fmt: skip
def test_providers_refuse_in_their_own_dialect(
    llm_server, provider, model, path, fault, error, words
):
    llm_server.script = {("*", "*"): [fault, "..."]}
    with pytest.raises(error, match=words):
        ask(llm_server, TWO, max_workers=1, **of_provider(provider, model))
    assert len(llm_server.log) == 1


@pytest.mark.usefixtures("region")
def test_a_token_of_bedrock_is_not_sent_in_the_clear_and_that_ends_the_run(llm_server):
    with pytest.raises(errors.ServiceError, match="requires an HTTPS endpoint"):
        ask(llm_server, TWO, provider="bedrock", model="m", api_key="sk-1")
    assert llm_server.log == []
