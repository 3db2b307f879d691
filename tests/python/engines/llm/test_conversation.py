"""Rounds: what sends an answer back, what may pass, and what becomes of the rest."""

import pytest

from llm_cases import TWO, ask

ONE = {"0": ["CD79A", "MS4A1", "CD79B"]}


def users(server, stage="annotator"):
    return [r["user"] for r in server.log if r["stage"] == stage]


def test_one_annotating_and_one_validating_call_when_all_is_well(llm_server):
    found = ask(llm_server, ONE)
    assert [r["stage"] for r in llm_server.log] == ["annotator", "validator"]
    assert (found["0"].iterations, found["0"].input_tokens) == (1, 2000)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("wrong_token", "cluster token must be"), ("invented", "MADEUP1"),
     ("ontology:CL:0000084", "T cell")],
)  # fmt: skip
def test_a_check_sends_back_with_the_reason_before_any_validator(llm_server, fault, reason):
    llm_server.script = {("B cell", "annotator"): [fault]}
    found = ask(llm_server, ONE)
    assert [r["stage"] for r in llm_server.log] == ["annotator", "annotator", "validator"]
    assert reason in users(llm_server)[1]
    # The same question again, whole, and nothing twice.
    assert users(llm_server)[1].count("Cluster token:") == 1
    assert (found["0"].label, found["0"].iterations) == ("B cell", 2)


@pytest.mark.parametrize(("identifier", "rounds"), [("CL:9999999", 1), ("CL:0000084", 2)])
def test_a_wrong_id_that_is_optional_costs_no_label(llm_server, identifier, rounds):
    llm_server.script = {("B cell", "annotator"): [f"ontology:{identifier}", "..."]}
    row = ask(llm_server, ONE)["0"]
    assert (row.status, row.label, row.iterations) == ("ok", "B cell", rounds)
    # The label has a term of its own.
    assert row.ontology_id == "CL:0000236"


def test_a_label_in_another_language_takes_the_name_of_its_term(llm_server):
    for label in ("\u0412-\u043a\u043b\u0435\u0442\u043a\u0430", "Linfocito B"):
        llm_server.script = {("B cell", "annotator"): [f"label:{label}=CL:0000236"]}
        llm_server.used.clear()
        row = ask(llm_server, ONE)["0"]
        assert (row.label, row.iterations) == ("B cell", 1)


def test_a_validator_sends_back_with_its_reasons(llm_server):
    llm_server.script = {("B cell", "validator"): ["reject:CD79A alone is too little."]}
    found = ask(llm_server, ONE)
    assert "CD79A alone is too little." in users(llm_server)[1]
    assert (found["0"].status, found["0"].iterations) == ("ok", 2)
    assert found.evidence["0"]["rounds"][0]["problems"] == ["CD79A alone is too little."]


def test_what_never_passes_is_unknown_with_the_reason_after_three_rounds(llm_server):
    llm_server.script = {("B cell", "validator"): ["reject:Not sure.", "..."]}
    row = ask(llm_server, TWO)["0"]
    assert (row.status, row.label, row.iterations) == ("unknown", "Unknown", 3)
    assert row.error == "No answer passed in 3 rounds: Not sure."
    assert llm_server.annotated().count("B cell") == 3


def test_an_answer_that_always_bears_another_token_never_labels(llm_server):
    llm_server.script = {("B cell", "annotator"): ["wrong_token", "..."]}
    found = ask(llm_server, TWO)
    assert (found["0"].status, found["1"].label) == ("unknown", "T cell")


def test_strict_validation_also_annotates_blind(llm_server):
    found = ask(llm_server, ONE, validator_involvement="v0")
    assert sorted(r["stage"] for r in llm_server.log) == ["annotator", "blind", "validator"]
    assert found["0"].status == "ok"
    assert "B cell" not in users(llm_server, "blind")[0]


@pytest.mark.parametrize(
    ("second", "status"),
    [("lymphocyte of B lineage=CL:0000945", "ok"), ("T cell=CL:0000084", "unknown"),
     ("hepatocyte", "unknown"), ("nameless thing", "unknown")],
)  # fmt: skip
def test_strict_validation_sends_back_what_is_further_than_parent_and_child(
    llm_server, second, status
):
    llm_server.script = {("B cell", "blind"): [f"label:{second}"]}
    row = ask(llm_server, ONE, validator_involvement="v0")["0"]
    assert row.status == status
    if status == "unknown":
        assert second.partition("=")[0] in row.error
        assert "second reader" in users(llm_server)[1]
        # Blind means once: the second reader is not asked again.
        assert len(users(llm_server, "blind")) == 1


def test_moderate_validation_has_no_blind_reader(llm_server):
    ask(llm_server, ONE, validator_involvement="v1")
    assert users(llm_server, "blind") == []


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_max_retries_is_how_often_an_unreadable_reply_is_asked_for_again(llm_server, retries):
    llm_server.script = {("B cell", "annotator"): ["truncated", "..."]}
    row = ask(llm_server, ONE, max_retries=retries)["0"]
    assert row.status == "failed"
    assert "could not be used" in row.error
    assert len(users(llm_server)) == retries + 1


def test_a_verdict_about_another_cluster_is_no_verdict(llm_server):
    llm_server.script = {("B cell", "validator"): ["wrong_token", "..."]}
    row = ask(llm_server, ONE)["0"]
    assert row.status == "failed"
    assert "token" in row.error


def test_an_honest_unknown_needs_no_validator(llm_server):
    row = ask(llm_server, {"0": ["ACTB", "GAPDH"]})["0"]
    assert (row.status, row.label, row.error) == ("unknown", "Unknown", None)
    assert [r["stage"] for r in llm_server.log] == ["annotator"]


def test_two_models_share_the_work(llm_server):
    configs = [
        {"provider": "openai", "name": "one", "baseUrl": llm_server.url + "/v1"},
        {"provider": "anthropic", "name": "two", "baseUrl": llm_server.url},
    ]
    import cellferry

    found = cellferry.annotate_clusters(
        ONE, engine="llm", llm_configs=configs, species="human", progress=False
    )
    assert found["0"].label == "B cell"
    assert [(r["model"], r["path"]) for r in llm_server.log] == [
        ("one", "/v1/chat/completions"), ("two", "/v1/messages"),
    ]  # fmt: skip


def test_two_keys_for_the_same_model_each_go_with_their_own_call(llm_server):
    import cellferry

    config = {"provider": "openai", "name": "m", "baseUrl": llm_server.url}
    configs = [{**config, "apiKey": "sk-a"}, {**config, "apiKey": "sk-b"}]
    cellferry.annotate_clusters(
        ONE, engine="llm", llm_configs=configs, species="human", progress=False
    )
    assert [r["key"] for r in llm_server.log] == ["Bearer sk-a", "Bearer sk-b"]
