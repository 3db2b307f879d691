"""A server on loopback that speaks the dialects of the providers: OpenAI's chat completions
(Groq, Mistral and OpenRouter too), Anthropic's messages, Google's and Bedrock's.

It knows a few cell types by their genes and answers every question rightly, unless its
script says otherwise. It is real HTTP: the tests use the engine's own client stack.

    python llm_server.py --delay 1 --log requests.jsonl      # prints its address
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from llm_replies import AS, PLAINLY
from loopback import LoopbackServer, QuietHandler

TYPES = {
    "CD79A": ("B cell", "CL:0000236", "Naive B cell"),
    "CD3D": ("T cell", "CL:0000084", "CD4 T cell"),
    "NKG7": ("Natural killer cell", "CL:0000623", "CD56-dim NK cell"),
    "LYZ": ("Monocyte", "CL:0000576", "Classical monocyte"),
    "PPBP": ("Platelet", "CL:0000233", "Platelet"),
    "FCER1A": ("Dendritic cell", "CL:0000451", "Conventional dendritic cell"),
    "COL1A1": ("Fibroblast", "CL:0000057", "Matrix fibroblast"),
    "PECAM1": ("Endothelial cell", "CL:0000115", "Capillary endothelial cell"),
}
"""First gene that decides -> main type, its ontology id, a subtype."""

STAGES = (("You check the annotation", "validator"), ("You are the second reader", "blind"))


class Server:
    """The server, its script and its log.

    Attributes
    ----------
    script
        (label or "*", stage or "*") -> faults in order, used up one by one. ``"..."`` as the
        last element repeats the one before it for ever.
    log
        One dict per request, in order of arrival.
    """

    def __init__(self, delay=0.0, log_file=None, port=0):
        self.delay, self.log_file = delay, log_file
        self.script, self.log, self.used = {}, [], defaultdict(int)
        self.most_at_once, self._now = 0, 0
        self.lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            server_of = outer

        self.http = LoopbackServer(Handler, port)
        self.url = self.http.url
        self._running = ExitStack()

    def __enter__(self):
        self._running.enter_context(self.http.serving())
        return self

    def __exit__(self, *_):
        self._running.close()

    def fault_for(self, label, stage):
        for key in ((label, stage), (label, "*"), ("*", stage), ("*", "*")):
            faults = self.script.get(key)
            if faults:
                position = self.used[key]
                self.used[key] += 1
                if position < len(faults) and faults[position] != "...":
                    return faults[position]
                return faults[-2] if faults[-1] == "..." else None
        return None

    def annotated(self, stage="annotator"):
        """Labels of the clusters in the requests of a stage, in order."""
        return [r["label"] for r in self.log if r["stage"] == stage]

    def note(self, record):
        with self.lock:
            self.log.append(record)
            if self.log_file:
                with Path(self.log_file).open("a", encoding="utf-8") as target:
                    target.write(json.dumps(record) + "\n")

    def enter(self, step):
        with self.lock:
            self._now += step
            self.most_at_once = max(self.most_at_once, self._now)


class _Handler(QuietHandler):
    disable_nagle_algorithm = True

    def do_POST(self):
        server = self.server_of
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = urlsplit(self.path).path
        dialect = dialect_of(path)
        system, user = _texts(body, dialect)
        stage = next((s for start, s in STAGES if system.startswith(start)), "annotator")
        question = parse(user)
        with server.lock:
            fault = server.fault_for(question["label"], stage)
        kind, _, value = (fault or "").partition(":")
        record = {
            "time": time.time(), "path": self.path, "stage": stage, "label": question["label"],
            "token": question["token"], "fault": fault, "dialect": dialect,
            "model": body.get("model") or path.split("/models/")[-1].partition(":")[0],
            "style": style_of(body), "key": self.headers.get("Authorization")
            or self.headers.get("x-api-key") or self.headers.get("x-goog-api-key"),
            "system": system, "user": user,
            "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body,
            "settings": {k: body[k] for k in (
                "temperature", "reasoning_effort", "max_completion_tokens", "max_tokens",
                "thinking", "top_p") if k in body},
        }  # fmt: skip
        server.note(record)
        server.enter(1)
        try:
            time.sleep(float(value) if kind == "slow" else server.delay)
            self.answer(kind, value, question, stage, dialect, record["style"], body)
        finally:
            server.enter(-1)

    def answer(self, kind, value, question, stage, dialect, style, body):
        if kind == "drop":
            self.close_connection = True
            self.connection.close()
            return None
        if kind.isdigit():
            headers = {"Retry-After": value} if value else {}
            said = value if kind != "429" and value else "scripted"
            headers = headers if kind == "429" else {}
            return self.send(int(kind), {"error": {"message": said, "type": "x"}}, headers)
        if kind in PLAINLY:
            return self.send_plain(*PLAINLY[kind](body))
        if kind == "refuses" and (names := [n for n in value.split(",") if n in body]):
            words = f"Unsupported parameter: '{names[0]}' is not supported with this model."
            return self.send(400, {"error": {"message": words}})
        if kind == "no_tools" and style == "tool":
            return self.send(400, {"error": {"message": "this model has no tools"}})
        if kind == "prompted_only" and style != "text":
            return self.send(400, {"error": {"message": "only text here"}})
        if kind == "no_temperature" and "temperature" in body:
            return self.send(400, {"error": {"message": "temperature is not supported"}})
        reply = right_reply(question, stage)
        if kind == "wrong_token":
            reply["cluster_token"] = value or "AAAAAAAAAA"
        elif kind == "invented":
            reply["supporting_genes"] = ["MADEUP1", *reply["supporting_genes"]]
        elif kind == "ontology":
            reply["ontology_id"] = value
        elif kind == "label":
            label, _, identifier = value.partition("=")
            reply.update(main_type=label, ontology_id=identifier or None, subtypes=[])
        elif kind == "reject":
            reply.update(passed=False, problems=[value or "Not convincing."])
        asks = kind == "beg" or (kind == "ask" and "`evidence`" in question["user"])
        if asks:
            genes, _, columns = value.partition("|")
            wanted = {"genes": [g for g in genes.split(",") if g],
                      "columns": [c for c in columns.split(",") if c]}  # fmt: skip
            # A form in which all must be filled has the rest too.
            wanted = {"evidence": wanted} if style != "tool" else wanted
            reply = {**reply, **wanted} if style == "schema" else wanted
        text = json.dumps(reply)
        as_text = style != "tool" or kind in {
            "fenced", "plain", "prose", "truncated_text", "empty", "two", "refusal", "null",
        }  # fmt: skip
        if kind == "bad_call" and style == "tool":
            text = "B cell, surely"
        text = {
            "truncated": text[: len(text) // 2],
            "truncated_text": text[: len(text) // 2],
            "fenced": f"Here is my answer.\n\n```json\n{text}\n```\nI hope this helps {{x}}.",
            "prose": "It is hard to say what these cells are.",
            "empty": "", "null": None, "refusal": None,
            "two": text + json.dumps({**reply, "reasoning": "another"}),
        }.get(kind, text)  # fmt: skip
        finish = "length" if kind.startswith("truncated") else "stop"
        if kind == "as":
            whole = openai_reply(text, as_text, kind, finish, body)
            return self.send_plain(*AS[value](reply, whole))
        make = {
            "anthropic": anthropic_reply, "google": google_reply, "bedrock": bedrock_reply,
        }.get(dialect, openai_reply)  # fmt: skip
        return self.send(200, make(text, as_text, kind, finish, body, asks))

    def send(self, status, content, headers=None):
        self.send_plain(status, "application/json", json.dumps(content).encode(), headers)

    def send_plain(self, status, kind, data, headers=None):
        if status >= 400 and kind == "application/json" and self.path.endswith("/converse"):
            # Errors of AWS have their words at the top.
            data = json.dumps({"message": json.loads(data)["error"]["message"]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        # One packet for head and body.
        self._headers_buffer.append(b"\r\n" + data)
        self.flush_headers()


def _texts(body, dialect):
    def plain(content):
        if isinstance(content, list):
            return "".join(part.get("text", "") for part in content)
        return content or ""

    if dialect == "google":
        asked = body["contents"][-1]["parts"]
        return plain((body.get("systemInstruction") or {}).get("parts", [])), plain(asked)
    messages = body["messages"]
    user = "\n".join(plain(m["content"]) for m in messages if m["role"] == "user")
    if dialect in {"anthropic", "bedrock"}:
        return plain(body.get("system", "")), user
    return plain(next((m["content"] for m in messages if m["role"] == "system"), "")), user


def dialect_of(path):
    if path.endswith("/messages"):
        return "anthropic"
    if path.endswith(":generateContent"):
        return "google"
    return "bedrock" if path.endswith("/converse") else "openai"


def style_of(body):
    if body.get("tools") or body.get("toolConfig"):
        return "tool"
    asked = body.get("generationConfig") or {}
    forms = ("response_format", "output_config", "outputConfig")
    if any(body.get(form) for form in forms) or asked.get("responseMimeType"):
        return "schema"
    return "text"


def parse(user):
    """Return token, genes and label of the question in a prompt."""
    token = re.search(r"Cluster token: (\S+)", user)
    block = re.search(r"Marker genes .*?:\n(.*?)(?:\n\n|\Z)", user, re.DOTALL)
    lines = block.group(1).strip().splitlines() if block else [""]
    if lines[0].startswith("gene\t"):
        genes = [line.split("\t")[0] for line in lines[1:]]
    else:
        genes = lines[0].split(", ")
    known = next((TYPES[g] for g in genes if g in TYPES), None)
    return {"token": token.group(1) if token else "", "genes": genes,
            "label": known[0] if known else "Unknown", "known": known, "user": user}  # fmt: skip


def right_reply(question, stage):
    if stage == "validator":
        return {"cluster_token": question["token"], "passed": True, "problems": [],
                "reasoning": "The genes are its markers."}  # fmt: skip
    known = question["known"]
    return {
        "cluster_token": question["token"],
        "main_type": known[0] if known else "Unknown",
        "subtypes": [known[2]] if known else [],
        "state": None,
        "mixed_types": [],
        "supporting_genes": question["genes"][:3] if known else [],
        "conflicting_genes": [],
        "ontology_id": known[1] if known else None,
        "ontology_label": known[0] if known else None,
        "possible_tissues": [],
        "confidence": 0.9 if known else 0.2,
        "reasoning": "Its best markers show it.",
    }


def openai_reply(text, as_text, kind, finish, body, asks=False):
    message = {"role": "assistant", "content": text}
    if kind == "refusal":
        message["refusal"] = "I can't help with that."
    elif not as_text:
        name = "evidence" if asks else body["tools"][0]["function"]["name"]
        call = {"name": name, "arguments": text}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        finish = "tool_calls" if finish == "stop" else finish
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
        "provider": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish,
                     "native_finish_reason": finish}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }  # fmt: skip


def anthropic_reply(text, as_text, kind, finish, body, asks=False):
    stop = {"length": "max_tokens", "stop": "end_turn"}[finish]
    content = [{"type": "text", "text": text}] if text else []
    if kind == "refusal":
        stop = "refusal"
    elif not as_text:
        try:
            given, stop = json.loads(text), "tool_use"
        except ValueError:
            given = {"cluster_token": text[:10]}
        name = "evidence" if asks else body["tools"][0]["name"]
        content = [{"type": "tool_use", "id": "toolu_1", "name": name, "input": given}]
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"],
        "content": content, "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 1000, "output_tokens": 100},
    }  # fmt: skip


def google_reply(text, as_text, kind, finish, body, asks=False):
    parts = [{"text": text}] if text else []
    if not as_text:
        tool = body["tools"][0]["functionDeclarations"][0]
        name = "evidence" if asks else tool["name"]
        parts = [{"functionCall": {"name": name, "args": _given(text)}}]
    reason = {"length": "MAX_TOKENS", "stop": "STOP"}[finish]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": reason}
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    if kind == "refusal":
        return {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}


def bedrock_reply(text, as_text, kind, finish, body, asks=False):
    content = [{"text": text}] if text else []
    stop = {"length": "max_tokens", "stop": "end_turn"}[finish]
    if kind == "refusal":
        content, stop = [{"text": "I can't help with that."}], "guardrail_intervened"
    elif not as_text:
        tool = body["toolConfig"]["tools"][0]["toolSpec"]
        name = "evidence" if asks else tool["name"]
        call = {"toolUseId": "t1", "name": name, "input": _given(text)}
        content, stop = [{"toolUse": call}], "tool_use" if finish == "stop" else stop
    return {
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop,
        "usage": {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100},
        "metrics": {"latencyMs": 1},
    }  # fmt: skip


def _given(text):
    try:
        return json.loads(text)
    except ValueError:
        return {"cluster_token": text[:10]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    given = parser.parse_args()
    with Server(given.delay, given.log, given.port) as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
