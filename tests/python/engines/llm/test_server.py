"""The test server itself: what the other tests lean on."""

import httpx

from llm_cases import question


def test_both_dialects_are_spoken_and_logged(llm_server):
    text = question().text
    messages = [{"role": "user", "content": text}]
    body = {"model": "m", "messages": messages, "max_tokens": 9}
    with httpx.Client(trust_env=False) as client:
        one = client.post(f"{llm_server.url}/x/chat/completions", json=body).json()
        other = client.post(f"{llm_server.url}/v1/messages", json=body).json()
    assert "B cell" in one["choices"][0]["message"]["content"]
    assert "B cell" in other["content"][0]["text"]
    assert [r["label"] for r in llm_server.log] == ["B cell", "B cell"]


def test_a_script_is_used_up_in_order(llm_server):
    llm_server.script = {("B cell", "*"): ["a", "b", "..."], ("*", "validator"): ["c"]}
    found = [llm_server.fault_for("B cell", "annotator") for _ in range(4)]
    assert found == ["a", "b", "b", "b"]
    assert [llm_server.fault_for("x", "validator") for _ in range(2)] == ["c", None]
