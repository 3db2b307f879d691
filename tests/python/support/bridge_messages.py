"""What R says to the bridge, and how it reads the answers: messages with buffers."""

import json

import numpy as np

from cellferry import bridge

CODES = [0] * 10 + [1] * 10 + [-1]
"""Cluster of each cell of the small study: two of ten cells, and a cell without one."""


def ask(name, request=None, buffers=(), on_event=None):
    answer = bridge.call(name.encode(), json.dumps(request or {}).encode(), buffers, on_event)
    assert all(isinstance(part, bytearray) for part in answer)
    return json.loads(answer[0]), answer[1:]


def begin(body, message):
    """Ask for an annotation and send its study, with a frame of markers if it has one.

    Returns the answer of the last call, or of the first that failed.
    """
    request, study = {**body}, {**body["study"]}
    del request["study"]
    asked, _ = ask("request", request, message.buffers)
    if not asked["ok"]:
        return asked
    if study.get("markers") is not None:
        read, _ = ask("read_markers", {"frame": study["markers"]}, message.buffers)
        study["markers"] = read["value"]["handle"]
    handle = asked["value"]["handle"]
    return ask("study_begin", {"handle": handle, "study": study}, message.buffers)[0]


class Message:
    """Builds a request with buffers, as R does."""

    def __init__(self):
        self.buffers = []

    def vector(self, values, kind):
        self.buffers.append(np.asarray(values, kind).tobytes())
        return {"$buffer": len(self.buffers) - 1, "type": kind}


def send(handle, matrix, step=8):
    for start in range(0, matrix.shape[0], step):
        part = matrix[start : start + step]
        message = Message()
        body = {
            "handle": handle,
            "part": "normalized",
            "row_start": start,
            "n_rows": part.shape[0],
            "indptr": message.vector(part.indptr, "<i4"),
            "indices": message.vector(part.indices, "<i4"),
            "data": message.vector(part.data, "<f8"),
        }
        answer, _ = ask("block", body, message.buffers)
        assert answer["ok"], answer


def read(frame, buffers, name):
    column = next(c for c in frame["columns"] if c["name"] == name)
    if column["kind"] == "category":
        codes = np.frombuffer(buffers[column["codes"]["$buffer"]], "<i4")
        return [None if c < 0 else column["levels"][c] for c in codes]
    if column["kind"] in {"real", "integer"}:
        kind = column["values"]["type"]
        values = np.frombuffer(buffers[column["values"]["$buffer"]], kind)
        mask = np.frombuffer(buffers[column["mask"]["$buffer"]], "|u1")
        return [None if m else v for v, m in zip(values.tolist(), mask, strict=True)]
    return column["values"]


def send_part(handle, part, matrix):
    for start in range(0, matrix.shape[0], 8):
        rows = matrix[start : start + 8]
        message = Message()
        body = {
            "handle": handle,
            "part": part,
            "row_start": start,
            "n_rows": rows.shape[0],
            "indptr": message.vector(rows.indptr, "<i4"),
            "indices": message.vector(rows.indices, "<i4"),
            "data": message.vector(rows.data, "<f8"),
        }
        answer, _ = ask("block", body, message.buffers)
        assert answer["ok"], answer


def block_of(matrix, number, step=8):
    """One block of a matrix as R answers: JSON, buffers."""
    rows = matrix[(number - 1) * step : number * step]
    message = Message()
    head = {
        "n_blocks": -(-matrix.shape[0] // step),
        "row_start": (number - 1) * step,
        "indptr": message.vector(rows.indptr, "<i4"),
        "indices": message.vector(rows.indices, "<i4"),
        "data": message.vector(rows.data, "<f8"),
    }
    return [bytearray(json.dumps(head).encode()), *message.buffers]
