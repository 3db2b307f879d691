import pytest

from cellferry import engines, errors
from cellferry.engines import check_options, create_engine, engine_class, engine_options
from cellferry.engines.base import Extent


@pytest.mark.parametrize("name", list(engines.ENGINES))
def test_every_registered_engine_keeps_the_contract(name):
    engine = create_engine(name)
    assert isinstance(engine, engines.Engine)
    assert engine.name == name
    assert engine_class(name) is type(engine)
    capabilities = engine.capabilities
    assert capabilities.answers <= {"clusters", "cells"}
    assert capabilities.sends <= {"markers", "expression", "metadata"}
    assert (capabilities.host is None) == (not capabilities.sends)
    assert set(engine.describe()) <= set(engine_options(name))


def test_options_come_from_the_class_and_can_be_given():
    assert create_engine("local", {"n_genes": 7}).describe()["n_genes"] == 7


def test_an_engine_that_is_made_takes_no_more_options():
    with pytest.raises(errors.UnknownOptionError, match="when the engine is made"):
        create_engine(create_engine("local"), {"n_genes": 7})


def test_an_unknown_option_names_the_nearest_and_all_valid_ones():
    with pytest.raises(errors.UnknownOptionError) as caught:
        check_options("local", {"genes": 3}, ("n_genes", "tissue_only"))
    assert caught.value.hint == "Did you mean `n_genes`? Its options: `n_genes`, `tissue_only`."


def test_the_variables_that_engines_read_are_told_to_r():
    """Those that were listed by hand in 0.1.0, and those of the engine llm."""
    listed = """
    CELLATLAS_API_KEY CELLATLAS_API_URL CYTETYPE_API_URL CYTETYPE_AUTH_TOKEN ANTHROPIC_API_KEY
    AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_SECRET_ACCESS_KEY DEEPSEEK_API_KEY FIREWORKS_API_KEY
    GEMINI_API_KEY GOOGLE_API_KEY GROQ_API_KEY HF_TOKEN MISTRAL_API_KEY NEBIUS_API_KEY
    OPENAI_API_KEY OPENROUTER_API_KEY TOGETHER_API_KEY XAI_API_KEY AWS_BEARER_TOKEN_BEDROCK
    CELLFERRY_LLM_API_KEY CUSTOMIZED_API_KEY AWS_PROFILE AWS_REGION AWS_SESSION_TOKEN
    """
    assert engines.environment_variables() == sorted(listed.split())


def test_an_extent_says_about_how_many_values_are_stored():
    assert Extent(100, 2_000).values == 20_000
