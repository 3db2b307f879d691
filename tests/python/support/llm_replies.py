"""How servers that users report of put a right answer, or what they say instead of one.

``AS``: name -> of the fields of a right answer and of OpenAI's whole reply with it, what is sent.
``PLAINLY``: name -> what is sent whatever was asked, of the body of the request.
"""

import json

JSON = "application/json"


def _sent(whole):
    return 200, JSON, json.dumps(whole).encode()


def _message(whole):
    return whole["choices"][0]["message"]


def in_call(change):
    """The fields of the tool call, changed, or another text of its arguments."""

    def made(reply, whole):
        given = change(dict(reply))
        if "tool_calls" not in _message(whole):
            return in_text(lambda _: given if isinstance(given, str) else json.dumps(given))(
                reply, whole
            )
        text = given if isinstance(given, str) else json.dumps(given)
        _message(whole)["tool_calls"][0]["function"]["arguments"] = text
        return _sent(whole)

    return made


def in_text(change, finish="stop"):
    """A text instead of a tool call."""

    def made(reply, whole):
        whole["choices"][0]["message"] = {"role": "assistant", "content": change(dict(reply))}
        whole["choices"][0]["finish_reason"] = finish
        return _sent(whole)

    return made


def envelope(change):
    """The whole reply, changed."""

    def made(reply, whole):
        return _sent(change(whole) or whole)

    return made


def fields(**changes):
    """Fields of the answer, changed; of a verdict those that it has."""

    def change(reply):
        return {**reply, **{k: v(reply[k]) for k, v in changes.items() if k in reply}}

    return in_call(change)


def draft(reply):
    return json.dumps({**reply, "main_type": "Macrophage", "ontology_id": "CL:0000235"})


def without(*names):
    return envelope(lambda whole: {k: v for k, v in whole.items() if k not in names})


def _object_arguments(whole):
    for call in _message(whole).get("tool_calls", []):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])


def _finish(reason):
    def change(whole):
        whole["choices"][0]["finish_reason"] = reason

    return envelope(change)


def _object_content(reply, whole):
    whole["choices"][0]["message"] = {"role": "assistant", "content": reply}
    return _sent(whole)


def _parts(reply, whole):
    text = json.dumps(reply)
    parts = [{"type": "text", "text": text[:20]}, {"type": "text", "text": text[20:]}]
    whole["choices"][0]["message"] = {"role": "assistant", "content": parts}
    return _sent(whole)


def _stream(whole_stream):
    def made(reply, whole):
        text = json.dumps(reply)
        deltas = [{"content": text[i : i + 40]} for i in range(0, len(text), 40)]
        chunks = [{"id": "s", "model": "m", "choices": [{"index": 0, "delta": d}]} for d in deltas]
        if whole_stream:
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            chunks.append({"choices": [], "usage": whole["usage"]})
        lines = [f"data: {json.dumps(c)}\n\n" for c in chunks]
        lines += ["data: [DONE]\n\n"] if whole_stream else []
        return 200, "text/event-stream", "".join(lines).encode()

    return made


def _python(reply):
    return str(reply)


def _escaped(reply):
    return json.dumps(reply).replace("cluster_token", "cluster\\_token").replace("_id", "\\_id")


AS = {
    # The form of the arguments.
    "arguments_object": envelope(_object_arguments),
    "encoded_twice": in_call(lambda r: json.dumps(json.dumps(r))),
    "nested": in_call(lambda r: {"answer": r}),
    "nested_text": in_call(lambda r: {"arguments": json.dumps(r)}),
    "trailing_comma_in_call": in_call(lambda r: json.dumps(r)[:-1] + ",}"),
    "named_call": in_text(
        lambda r: f"<tool_call>\n{json.dumps({'name': 'x', 'arguments': r})}\n</tool_call>"
    ),
    "trailing_comma": in_text(lambda r: json.dumps(r, indent=1).replace("\n}", ",\n}")),
    "python_literals": in_text(_python),
    "stray_escapes": in_text(_escaped),
    "fence_and_bom": in_text(lambda r: "\ufeff```json\n" + json.dumps(r) + "\n```"),
    "camel_case": in_call(
        lambda r: {**r, "cluster_token": None, "clusterToken": r["cluster_token"]}
    ),
    # The envelope.
    "no_id": without("id", "model", "object", "created"),
    "null_id": envelope(lambda w: {**w, "id": None, "model": None, "created": None}),
    "created_float": envelope(lambda w: {**w, "created": 1.5}),
    "usage_null": envelope(lambda w: {**w, "usage": {"prompt_tokens": None}}),
    "no_usage": without("usage"),
    "finish_empty": _finish(""),
    "finish_null": _finish(None),
    "finish_odd": _finish("eos_token"),
    "content_object": _object_content,
    "content_parts": _parts,
    "stream": _stream(whole_stream=True),
    # The fields.
    "lists_json": fields(supporting_genes=json.dumps, subtypes=json.dumps),
    "lists_commas": fields(supporting_genes=", ".join),
    "genes_case": fields(supporting_genes=lambda g: [x.lower() for x in g]),
    "genes_figures": fields(supporting_genes=lambda g: [f"{x} (log2FC 3.1)" for x in g]),
    "confidence_90": fields(confidence=lambda _: 90),
    "confidence_text": fields(confidence=lambda _: "0.9"),
    "confidence_high": fields(confidence=lambda _: "High"),
    "confidence_nan": fields(confidence=lambda _: float("nan")),
    "id_url": fields(ontology_id=lambda i: f"http://purl.obolibrary.org/obo/{i.replace(':', '_')}"),
    "id_label": fields(ontology_id=lambda i: f"{i} (its label)"),
    "id_unknown": fields(ontology_id=lambda _: "CL:9999999"),
    "token_case": fields(cluster_token=str.lower),
    "token_prefixed": fields(cluster_token=lambda t: f'Cluster token: "{t}"'),
    "markdown": fields(main_type=lambda m: f"**{m}**"),
    "newline": fields(main_type=lambda m: m.replace(" ", "\n")),
    "plural": fields(main_type=lambda m: f"{m}s"),
    # What is no answer.
    "think_cut": in_text(lambda r: "<think>Perhaps " + draft(r), "length"),
    "think_cut_no_tag": in_text(lambda r: "Perhaps " + draft(r), "length"),
    "think_open": in_text(lambda r: "<think>Perhaps " + draft(r)),
    "stream_broken": _stream(whole_stream=False),
    "cannot": fields(main_type=lambda _: "Cannot be determined"),
    # A draft, and then the answer.
    "think_draft": in_text(lambda r: f"<think>{draft(r)}</think>{json.dumps(r)}"),
    "close_only": in_text(lambda r: f"{draft(r)}</think>{json.dumps(r)}"),
}

USED = ["arguments_object", "encoded_twice", "nested", "nested_text", "named_call",
        "trailing_comma", "trailing_comma_in_call", "python_literals", "stray_escapes",
        "fence_and_bom", "camel_case",
        "no_id", "null_id", "created_float", "usage_null", "no_usage", "finish_empty",
        "finish_null", "finish_odd", "content_object", "content_parts", "stream", "lists_json",
        "lists_commas", "genes_case", "genes_figures", "confidence_90", "confidence_text",
        "confidence_high", "confidence_nan", "id_url", "id_label", "id_unknown", "token_case",
        "token_prefixed", "markdown", "newline", "plural", "think_draft", "close_only"]  # fmt: skip
"""What is a right answer, so that nothing need be asked for again."""


def _error(status, error, **headers):
    data = json.dumps(error).encode()
    return lambda _body: (status, JSON, data, {k.replace("_", "-"): v for k, v in headers.items()})


def _no_choices(_body):
    return 200, JSON, json.dumps({"id": "x", "choices": []}).encode()


PLAINLY = {
    "choices_empty": _no_choices,
    "error_in_200": _error(200, {"error": {"code": 502, "message": "Upstream went away"}}),
    "limit_in_200": _error(200, {"error": {"code": 429, "message": "Slow down"}}),
    "finish_error": _error(
        200, {"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}
    ),
    "not_a_reply": _error(200, {"choices": 5}),
    "nonsense": lambda _body: (200, JSON, b'{"choices": [{"mess'),
    "moderated": _error(
        403, {"error": {"code": 403, "message": "Input was flagged",
                        "metadata": {"reasons": ["violence"], "flagged_input": "x"}}}
    ),
    "region": _error(
        403, {"error": {"code": "unsupported_country_region_territory",
                        "message": "Country, region, or territory not supported"}}
    ),
    "retired": _error(410, {"error": {"message": "The model test-model has been retired"}}),
    "no_such_model": _error(404, {"error": {"message": "The model `x` does not exist"}}),
    "too_long": _error(400, {"error": {"message": "This model's maximum context length is 8"}}),
    "daily": _error(429, {"error": {"message": "Daily limit"}}, Retry_After="1500"),
    "no_tools_500": _error(500, {"error": {"message": "tools param requires --jinja flag"}}),
    "no_api": lambda _body: (404, "text/plain", b"404 page not found"),
    "page": lambda _body: (200, "text/html", b"<!doctype html><title>Chat</title>"),
}  # fmt: skip
