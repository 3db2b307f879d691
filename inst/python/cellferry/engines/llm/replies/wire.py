"""What servers send, put into the form that the packages of the providers read.

Servers that call themselves compatible leave members out, give them other types, and put an
error or a stream of events into an answer of status 200. What can be understood is; an error
gets the status that it says it has, so that it is treated as any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from .reasoning import answer_part

CHAT, MESSAGES = "/chat/completions", "/messages"

_CUT_OFF = {"length", "max_tokens", "max_length", "max_output_tokens", "model_length", "incomplete",
            "max_new_tokens", "token_limit", "context_length", "num_predict", "limit"}  # fmt: skip
_FILTERED = {"content_filter", "content_filtered", "safety", "recitation", "blocklist", "blocked",
             "prohibited_content", "sensitive", "spii", "refusal"}  # fmt: skip
_FAILED = {"error": 502, "failed": 502, "abort": 502, "aborted": 502, "cancelled": 502,
           "engine_overloaded": 529, "insufficient_system_resource": 503}  # fmt: skip
_CALLED = {"tool_calls", "tool_call", "tool_use", "function_call"}

_STATUS_OF_WORDS = (
    (404, ("unexpected endpoint", "not found", "does not exist", "unknown url")),
    (429, ("rate limit", "rate_limit", "too many requests", "throttl")),
    (529, ("overloaded", "capacity", "busy")),
    (402, ("insufficient_quota", "insufficient balance", "credit")),
    (401, ("api key", "api_key", "unauthorized", "authentication")),
    (400, ("invalid_request", "unsupported", "not supported", "does not support")),
)

Body = dict[str, Any]


class Mended(NamedTuple):
    """What to read instead of an answer: its status and its body."""

    status: int
    body: Body


def mend(path: str, kind: str, content: bytes) -> Mended | None:
    """Return what a successful answer means, or None if it can be left as it is.

    Parameters
    ----------
    path
        Of the request, by which its dialect is known.
    kind
        The content type.
    content
        The body.

    Examples
    --------
    >>> found = mend("/v1/chat/completions", "application/json", b'{"error": {"code": 429}}')
    >>> found.status
    429
    """
    text = content.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if kind.startswith("text/event-stream") or text.startswith(("data:", "event:")):
        if not path.endswith(CHAT):
            message = "It answered with a stream of events, which was not asked for."
            return _error(501, message, "event_stream")
        found: object = _whole(text)
    elif "text/html" in kind or text[:15].lower().startswith(("<!doctype html", "<html")):
        return _error(404, "It answered with a web page.", "web_page")
    else:
        try:
            found = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return None
    if not isinstance(found, dict):
        return None
    found = _enclosed(found) if path.endswith(CHAT) else found
    if (error := _error_in(found)) is not None:
        return error
    if path.endswith(CHAT):
        return _chat(found)
    return Mended(200, _message(found)) if path.endswith(MESSAGES) else None


def _error(status: int, message: str, code: str | None = None) -> Mended:
    return Mended(status, {"error": {"message": message, "code": code}})


def _enclosed(found: Body) -> Body:
    """Return the answer that a gateway has put into an envelope of its own."""
    if "choices" in found:
        return found
    inner = [v for v in found.values() if isinstance(v, dict) and "choices" in v]
    return inner[0] if len(inner) == 1 else found


def _error_in(found: Body) -> Mended | None:
    """Return the error that an answer of status 200 is, with the status that it says it has."""
    if any(found.get(name) for name in ("choices", "content", "candidates", "output")):
        return None
    given = found.get("error") or found.get("errors")
    if not given:
        if "choices" in found or "candidates" in found or "content" in found:
            return None
        given = found.get("message") or found.get("detail") or found.get("msg")
        given = given and {"message": given, "code": found.get("code") or found.get("status")}
    if not given:
        return None
    inner = given[0] if isinstance(given, list) and given else given
    inner = inner if isinstance(inner, Mapping) else {"message": str(inner)}
    return Mended(status_in(inner, found), {"error": dict(inner)})


def status_in(*errors: Mapping[str, Any]) -> int:
    """Return the status that an error says it has, or that its words have."""
    for error in errors:
        for name in ("code", "status", "status_code", "statusCode", "http_status"):
            value = error.get(name)
            if isinstance(value, int | str) and str(value).isdigit() and 400 <= int(value) < 600:
                return int(value)
    words = json.dumps(errors[0], default=str).lower()
    return next((s for s, known in _STATUS_OF_WORDS if any(w in words for w in known)), 502)


def _chat(found: Body) -> Mended:
    """Return a chat completion with the members that the packages need, of their types."""
    choices = found.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    choice = first if isinstance(first, dict) else {"message": {"content": first}}
    given = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
    message = given if isinstance(given, dict) else {"content": given}
    finish = str(choice.get("finish_reason") or "").lower()
    if isinstance(error := choice.get("error"), Mapping):
        return Mended(status_in(error), {"error": dict(error)})
    if finish in _FAILED:
        return _error(_FAILED[finish], f"The reply ended with {finish!r}.", finish)
    calls = _calls(message)
    content = _content(message.get("content"))
    if content is not None:
        part = answer_part(content)
        # Some servers report no limit for what is cut off in its reasoning.
        finish = "length" if part is None and not calls else finish
        content = part
    if _text(message.get("refusal")).strip() and not calls:
        content, finish = content or _text(message["refusal"]), "content_filter"
    elif finish in _CUT_OFF:
        finish = "length"
    elif finish in _FILTERED or _was_filtered(found, choice):
        finish = "content_filter"
    else:
        finish = "tool_calls" if calls or finish in _CALLED else "stop"
    said: Body = {"role": "assistant", "content": content}
    for name in ("refusal", "reasoning", "reasoning_content"):
        if isinstance(message.get(name), str):
            said[name] = message[name]
    if calls:
        said["tool_calls"] = calls
    body: Body = {
        "id": _text(found.get("id")) or "none",
        "object": "chat.completion",
        "created": _count(found.get("created")) or 0,
        "model": _text(found.get("model")),
        "provider": _text(found.get("provider")) or "unknown",
        "choices": [{"index": 0, "message": said, "finish_reason": finish, "logprobs": None,
                     "native_finish_reason": _text(choice.get("native_finish_reason"))}],
    }  # fmt: skip
    if (usage := _usage(found.get("usage"))) is not None:
        body["usage"] = usage
    return Mended(200, body)


def _was_filtered(found: Body, choice: Body) -> bool:
    """Whether a filter of Azure or Google took the reply away."""
    if choice:
        return False
    return '"filtered": true' in json.dumps(found) or "block" in json.dumps(found).lower()


def _content(value: object) -> str | None:
    """Return the text of a content that is a text, parts of one, or an object that is one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(p, dict | str) for p in value):
        parts = [p if isinstance(p, str) else p.get("text") for p in value]
        typed = any(isinstance(p, dict) and isinstance(p.get("type"), str) for p in value)
        if typed or all(isinstance(p, str) for p in parts):
            return "".join(p for p in parts if isinstance(p, str))
    if isinstance(value, dict) and isinstance(value.get("text"), str) and len(value) <= 2:
        return str(value["text"])
    return json.dumps(value, ensure_ascii=False)


def _calls(message: Body) -> list[Body]:
    given = message.get("tool_calls") or message.get("function_call") or []
    found = []
    for number, call in enumerate(given if isinstance(given, list) else [given]):
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        function = function if isinstance(function, dict) else call
        arguments = function.get("arguments", function.get("parameters", function.get("input")))
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments if arguments is not None else {}, ensure_ascii=False)
        found.append(
            {
                "id": _text(call.get("id")) or f"call_{number}",
                "type": "function",
                "function": {"name": _text(function.get("name")), "arguments": arguments},
            }
        )
    return found


def _usage(given: object) -> Body | None:
    """Return the tokens of a usage, None where it does not say them."""
    if not isinstance(given, dict):
        return None
    tokens = {
        name: next((n for k in (name, other) if (n := _count(given.get(k))) is not None), None)
        for name, other in (
            ("prompt_tokens", "input_tokens"),
            ("completion_tokens", "output_tokens"),
        )
    }
    if None in tokens.values():
        return None
    known = {name: int(n or 0) for name, n in tokens.items()}
    more = {k: given[k] for k in ("cost",) if isinstance(given.get(k), int | float)}
    return {**known, "total_tokens": sum(known.values()), **more}


def _count(value: object) -> int | None:
    try:
        number = int(float(value)) if isinstance(value, int | float | str) else -1
    except (ValueError, OverflowError):
        return None
    return number if number >= 0 else None


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _message(found: Body) -> Body:
    """Return a message of Anthropic's dialect with the members that its package needs."""
    content = found.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    parts = [dict(p) for p in content if isinstance(p, dict)] if isinstance(content, list) else []
    for number, part in enumerate(parts):
        if part.get("type") == "tool_use":
            part["id"] = _text(part.get("id")) or f"toolu_{number}"
    given = found.get("usage")
    usage = given if isinstance(given, dict) else {}
    counted = {n: _count(usage.get(n)) or 0 for n in ("input_tokens", "output_tokens")}
    return {
        **found, "id": _text(found.get("id")) or "none", "type": "message", "role": "assistant",
        "model": _text(found.get("model")), "content": parts, "usage": {**usage, **counted},
    }  # fmt: skip


def _whole(text: str) -> Body:
    """Put the events of a stream of chat completions together; one that breaks off is cut off."""
    whole: Body = {}
    content: list[str] = []
    calls: dict[int, Body] = {}
    finish, ended = None, False
    for line in text.splitlines():
        data = line.partition(":")[2].strip() if line.startswith("data:") else ""
        ended = ended or data == "[DONE]"
        try:
            chunk = json.loads(data)
        except ValueError:
            continue
        if not isinstance(chunk, dict):
            continue
        if chunk.get("error"):
            return {"error": chunk["error"]}
        whole = {**whole, **{k: v for k, v in chunk.items() if k != "choices" and v is not None}}
        for choice in chunk.get("choices") or []:
            finish = choice.get("finish_reason") or finish
            delta = choice.get("delta") or choice.get("message") or {}
            content.append(_content(delta.get("content")) or "")
            for call in delta.get("tool_calls") or []:
                known = calls.setdefault(call.get("index") or 0, {"name": "", "arguments": ""})
                function = call.get("function") or {}
                known["name"] = known["name"] or function.get("name") or ""
                known["arguments"] += function.get("arguments") or ""
    message: Body = {"content": "".join(content)}
    if calls:
        message["tool_calls"] = list(calls.values())
    finish = finish or ("stop" if ended else "length")
    return {**whole, "choices": [{"message": message, "finish_reason": finish}]}
