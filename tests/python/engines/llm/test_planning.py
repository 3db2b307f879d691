import pytest

from cellferry.annotate import verb
from cellferry.study.build import study_from_markers
from fresh_python import python
from llm_cases import LISTS, ask, engine

STUDY = study_from_markers({**LISTS, "9": ["ACTB"]})
PRICES = {"input": 3.0, "output": 15.0}


def test_a_dry_run_makes_no_call_and_reports_calls_tokens_and_cost(llm_server):
    plan = verb.plan(STUDY, engine(llm_server, prices=PRICES))
    strict = verb.plan(STUDY, engine(llm_server, prices=PRICES, validator_involvement="v0"))
    assert (plan.clusters, plan.calls, strict.calls) == (6, 12, 18)
    paid = (plan.input_tokens * 3 + plan.output_tokens * 15) / 1e6
    assert plan.cost_usd == pytest.approx(paid)
    assert 0 < plan.cost_usd < strict.cost_usd
    assert "12 calls" in str(plan)
    assert "tokens in" in str(plan)
    assert llm_server.log == []


def test_an_unknown_price_is_reported_as_unknown(llm_server):
    plan = verb.plan(STUDY, engine(llm_server))
    assert plan.cost_usd is None
    assert "cost unknown" in str(plan)


def test_what_an_earlier_run_answered_is_not_planned_again(llm_server, tmp_path):
    options = {"output_name": str(tmp_path / "x"), "prices": PRICES}
    ask(llm_server, {"0": LISTS["0"]}, **options)
    study = study_from_markers({"0": LISTS["0"], "1": LISTS["1"]})
    study = study.with_parts(context=study.context.__class__(species="human"))
    plan = verb.plan(study, engine(llm_server, **options))
    assert plan.calls == 2
    assert "1 clusters are already answered." in plan.notes


def test_the_plan_is_near_what_is_really_sent(llm_server):
    plan = verb.plan(STUDY, engine(llm_server))
    ask(llm_server, {**LISTS, "9": ["ACTB"]})
    sent = sum(len(r["system"]) + len(r["user"]) for r in llm_server.log)
    assert plan.bytes_sent == pytest.approx(sent, rel=0.35)


@pytest.mark.parametrize("involvement", ["v1", "v0"])
def test_the_plan_is_what_the_budget_sets_aside(llm_server, involvement):
    """Architecture review: the dry run and the budget reckoned with two cost models."""
    options = {"validator_involvement": involvement, "prices": PRICES}
    one = {"0": LISTS["0"]}
    study = study_from_markers(one)
    study = study.with_parts(context=study.context.__class__(species="human"))
    plan = verb.plan(study, engine(llm_server, **options))
    tokens = plan.input_tokens + plan.output_tokens
    left_out = ask(llm_server, one, **options, max_tokens=tokens - 1)
    too_dear = ask(llm_server, one, **options, max_cost_usd=plan.cost_usd * 0.999)
    assert (left_out["0"].status, too_dear["0"].status) == ("skipped", "skipped")
    assert llm_server.log == []
    found = ask(llm_server, one, **options, max_tokens=tokens, max_cost_usd=plan.cost_usd)
    assert found["0"].status == "ok"


def test_the_engine_is_listed_and_planned_without_the_packages_of_a_model():
    done = python(
        "import sys, cellferry.engines.llm\n"
        "print([m for m in ('pydantic', 'pydantic_ai', 'openai') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr
