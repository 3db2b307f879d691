import pytest

from cellferry import annotate_cells, annotate_clusters, engines, errors
from cellferry.annotate.verb import level_of
from cellferry.engines import (
    check_options,
    create_engine,
    engine_class,
    engine_names,
    engine_options,
)
from cellferry.engines.base import Extent

ENGINES = [(name, level) for name, classes in engines.ENGINES.items() for level in classes]


@pytest.mark.parametrize(("name", "level"), ENGINES)
def test_every_registered_engine_keeps_the_contract(name, level):
    engine = create_engine(name, level=level)
    assert isinstance(engine, engines.Engine)
    assert engine.name == name
    assert engine_class(name, level) is type(engine)
    assert name in engine_names(level)
    assert create_engine(engine, level=level) is engine
    capabilities = engine.capabilities
    assert capabilities.answers == {level}
    assert level_of(engine) == level
    assert capabilities.sends <= {"markers", "expression", "metadata"}
    assert (capabilities.host is None) == (not capabilities.sends)
    assert set(engine.describe()) <= set(engine_options(name, level))


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("llm", "cells", "answers clusters, not cells"),
        ("lokal", "clusters", 'Available: "local", "llm", "cytetype"'),
        ("lokal", "cells", 'Available: "local", "cellatlas"'),
    ],
)
def test_an_engine_is_asked_for_what_it_answers(name, level, words):
    with pytest.raises(errors.UnknownEngineError, match=words):
        create_engine(name, level=level)


@pytest.mark.parametrize(("level", "other"), [("clusters", "cells"), ("cells", "clusters")])
def test_an_engine_that_is_made_must_answer_it_too(level, other):
    with pytest.raises(errors.EngineNeedsError, match=f"answers {level}, not {other}") as caught:
        create_engine(create_engine("local", level=level), level=other)
    assert f"annotate_{level}()" in caught.value.hint


def test_options_come_from_the_class_and_can_be_given():
    assert create_engine("local", {"n_genes": 7}).describe()["n_genes"] == 7


def test_an_engine_that_is_made_takes_no_more_options():
    with pytest.raises(errors.UnknownOptionError, match="when the engine is made"):
        create_engine(create_engine("local"), {"n_genes": 7})


def test_an_unknown_option_names_the_nearest_and_all_valid_ones():
    with pytest.raises(errors.UnknownOptionError) as caught:
        check_options("local", {"genes": 3}, ("n_genes", "tissue_only"))
    assert caught.value.hint == "Did you mean `n_genes`? Its options: `n_genes`, `tissue_only`."


def test_the_variables_that_engines_read_are_listed_for_r():
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


WORDS = ["groupby", "group_by", "cluster_key", "groups", "clusters", "group.by", "Group_Key"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("verb", [annotate_clusters, annotate_cells])
def test_the_arguments_of_the_function_are_suggested_too(verb, word):
    with pytest.raises(errors.UnknownOptionError, match="has no option") as caught:
        verb({"a": ["CD3E"]}, **{word: "leiden"})
    assert "Did you mean `group_key`?" in caught.value.hint


def test_the_arguments_are_suggested_beside_an_engine_that_is_made():
    with pytest.raises(errors.UnknownOptionError) as caught:
        annotate_clusters({"a": ["CD3E"]}, engine=create_engine("local"), groupby="leiden")
    assert caught.value.hint == "Did you mean `group_key`?"


def test_names_that_are_completed_are_the_public_ones():
    assert dir(engines) == sorted(engines.__all__)
