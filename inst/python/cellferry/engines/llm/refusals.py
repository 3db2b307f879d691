"""Refusals: what a provider means by a status and its words, and what can be done about it.

The one place that knows how servers say that they have no tools, that a parameter is not
theirs, that a model is retired, or that one question was blocked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from ..service.secrets import redact

Kind = Literal[
    "key", "credit", "region", "moderation", "model", "address", "stream", "form", "parameter",
    "too_long", "limit", "slow", "overloaded", "fault", "unclear", "refused",
]  # fmt: skip

_LONGEST = 300
_CAN_BE_ABOUT_FORM = {400, 404, 415, 422, 500, 501}

_MODERATION = re.compile(
    r"content[_ -]?(?:filter|policy|management)|contentfilter|moderation|\bflagged\b"
    r"|responsible ?ai|safety (?:system|polic|reason|filter)|data_inspection_failed"
    r"|sensitive (?:content|word)|inappropriate content|jailbreak|guardrail"
)
_REGION = re.compile(
    r"unsupported_country|(?:location|region|country|territory)\b.{0,60}\b(?:not|un)[ -]?"
    r"(?:supported|available|allowed|permitted)|(?:not|un)[ -]?(?:supported|available|allowed)"
    r".{0,30}(?:location|region|country|territory)|geo[- ]?(?:block|restrict|fenc)"
)
_CREDIT = re.compile(
    r"insufficient[_ ](?:quota|balance|credit|fund)|credit balance|billing_(?:error|hard|not)"
    r"|payment[_ ]required|out of credit|(?:no|add|more) credits?\b"
)
_KEY = re.compile(
    r"api[_ ]?key.{0,40}(?:not valid|invalid|incorrect|expired|missing|revoked|disabled)"
    r"|(?:invalid|incorrect|expired|missing|no).{0,20}api[_ ]?key|unauthori[sz]ed"
    r"|authentication_error|invalid_(?:api_key|token)"
)
_TOO_LONG = re.compile(
    r"context[_ ](?:length|window|size)|maximum context|prompt is too long|input is too long"
    r"|too many (?:input )?tokens|reduce the length|request too large|string_above_max_length"
    r"|exceeds? the (?:available context|context|model's context|maximum number of tokens)"
)
_FORM = re.compile(
    r"\btools?\b|tool_|\btool-|function[_ -]?call|\bfunctions\b|response_?(?:format|schema|mime)"
    r"|json[_ ](?:schema|object|mode)|structured[_ ]output|grammar|guided_|jinja|output_config"
    r"|\bschema\b"
)
_MODEL = re.compile(
    r"model[_ ](?:not[_ ]found|decommissioned|deprecated|retired|unavailable)"
    r"|\bmodels?\b.{0,120}\b(?:do(?:es)? not exist|not exist|not found|no longer|decommissioned"
    r"|deprecated|retired|not a valid|not available|not supported|not loaded|unknown)"
    r"|(?:unknown|invalid|no such|unsupported|not a valid|(?:could not|cannot) find) (?:the )?model"
    r"|deploymentnotfound|no endpoints found|(?:has been|was) (?:retired|deprecated|removed|sunset)"
)
_NO_API = re.compile(
    r"page not found|^.{0,30}not found\W*$|unexpected endpoint|cannot (?:post|get)|no route"
    r"|unknown (?:path|url|endpoint|request)|invalid url|web_page|web page|<html|method not allowed"
)
_ABOUT_A_PARAMETER = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|invalid|allow|extra|permit|deprecat|only|must"
    r"|cannot|can't|both|forbidden|not .{0,20}(?:valid|known)|should|expected|range|refus|large"
)

WIRE_NAMES = {
    "temperature": ("temperature",),
    "max_tokens": ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxoutputtokens"),
    "reasoning": ("reasoning_effort", "reasoning", "thinking", "thinkingconfig"),
}
"""Setting -> how it is named in requests and errors; others by their own name."""


def words_of(body: object) -> str:
    """Return what a provider says in the body of an error, with what another said to it.

    Examples
    --------
    >>> words_of({"error": {"message": "no", "metadata": {"raw": "too busy"}}})
    'no (too busy)'
    """
    found: list[str] = []
    _collect(body, found, 0)
    known = [w for i, w in enumerate(found) if w and not any(w in v for v in found[:i])]
    text = f"{known[0]} ({'; '.join(known[1:])})" if len(known) > 1 else "".join(known)
    if not text and not (isinstance(body, Mapping) and "ResponseMetadata" in body):
        text = _plain(body)
    text = " ".join(text.split())
    if re.match(r"<!doctype|<html", text, re.IGNORECASE):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE)
        text = f"a web page{f', {title[1]!r}' if title else ''}"
    return redact(text)[:_LONGEST]


def _plain(body: object) -> str:
    if body is None or isinstance(body, str):
        return body or ""
    return json.dumps(body, ensure_ascii=False, default=str)


def _collect(body: object, found: list[str], depth: int) -> None:
    if depth > 8:
        return
    if isinstance(body, str):
        text = body.strip()
        if text[:1] in {"{", "["}:
            try:
                _collect(json.loads(text), found, depth + 1)
            except ValueError:
                found.append(text)
        else:
            found.append(text)
    elif isinstance(body, Mapping):
        for name in ("message", "Message", "msg", "error", "Error", "errors", "detail", "raw",
                     "metadata", "reasons"):  # fmt: skip
            if name in body:
                _collect(body[name], found, depth + 1)
    elif isinstance(body, Sequence):
        for part in body:
            _collect(part, found, depth + 1)


def refused_setting(status: int, body: object, sent: Mapping[str, object]) -> str | None:
    """Return the setting of a request that an error says the service does not take, if any.

    Parameters
    ----------
    sent
        The settings of this request. What another request was refused does not count.
    """
    if status not in _CAN_BE_ABOUT_FORM:
        return None
    text = _plain(body).lower()
    if _TOO_LONG.search(text) or not _ABOUT_A_PARAMETER.search(text):
        return None
    named = {
        name: min(at)
        for name in sent
        if (at := [m.start() for n in WIRE_NAMES.get(name, (name.removeprefix("openai_"),))
                   if (m := re.search(rf"(?<![a-z_]){re.escape(n)}(?![a-z_])", text))])
    }  # fmt: skip
    # A sentence names first what it is about. Of a form it may only mention a parameter.
    found = min(named, key=lambda name: named[name]) if named else None
    if found is not None and re.search(r"tool_choice|response_format|json_schema", text):
        quoted = "|".join(map(re.escape, WIRE_NAMES.get(found, (found,))))
        return found if re.search(rf"[\"'`](?:{quoted})[\"'`]", text) else None
    return found


def kind_of(status: int, body: object, *, own_address: bool) -> Kind:
    """Return what an error is about.

    Parameters
    ----------
    status, body
        Of the answer.
    own_address
        Whether the user gave the address, so that it may be wrong.
    """
    text = f"{_plain(body)} {words_of(body)}".lower()
    if status in {400, 403, 422, 451} and _REGION.search(text):
        return "region"
    if status in {400, 403, 422, 451} and _MODERATION.search(text):
        return "moderation"
    if status == 402 or (status in {400, 403, 429} and _CREDIT.search(text)):
        return "credit"
    if status in {401, 403} or (status == 400 and _KEY.search(text)):
        return "key"
    if status == 413 or (status in {400, 422} and _TOO_LONG.search(text)):
        return "too_long"
    if "event_stream" in text:
        return "stream"
    if status in _CAN_BE_ABOUT_FORM and status != 500 and _FORM.search(text):
        return "form"
    if status == 500 and re.search(r"\btools?\b|tool_|jinja|response_format|json_schema", text):
        return "form"
    if status == 410 or (status in {400, 403, 404, 422} and _MODEL.search(text)):
        return "model"
    if status in {404, 405}:
        plain = words_of(body).lower()
        said_by_no_api = not isinstance(body, Mapping) or _NO_API.search(plain)
        return "address" if own_address and (status == 405 or said_by_no_api) else "model"
    if status == 429:
        return "limit"
    if status in {408, 504, 524}:
        return "slow"
    if status in {503, 529}:
        return "overloaded"
    if status in {400, 415, 422, 501}:
        return "unclear"
    return "fault" if status >= 500 else "refused"
