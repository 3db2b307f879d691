import json
import os
import threading

import numpy as np
import pytest
from scipy import sparse

from bridge_messages import CODES, Message, ask, block_of, read, send, send_part
from cellferry.bridge import handles, wire
from cellferry.bridge import studies as bridge_studies
from cellferry.bridge.callbacks import ask_by
from cellferry.runs.worker import CancelledWork

N_CELLS, GENES = len(CODES), ["A", "B", "C"]


def study(message, **changes):
    return {
        "group_key": "ident",
        "names": ["10", "2"],
        "codes": message.vector(CODES, "<i4"),
        "cells": [f"c{i}" for i in range(N_CELLS)],
        "genes": GENES,
        "counts_genes": GENES[:2],
        "object": "Seurat",
        **changes,
    }


def open_study(parts, message=None, **changes):
    message = message or Message()
    body = {"study": study(message, **changes), "parts": parts}
    answer, _ = ask("study_open", body, message.buffers)
    assert answer["ok"], answer
    return answer["value"]


def numbers(reference, buffers):
    return np.frombuffer(buffers[reference["$buffer"]], reference["type"])


def test_matrices_in_the_memory_of_another_process_are_not_looked_for():
    places = {"cells": [N_CELLS], "values": [1], "x": ["0x1"], "i": ["0x1"], "p": ["0x1"]}
    shared = {"process": str(os.getpid() + 1), "normalized": places, "counts": places}
    opened = open_study(["normalized", "counts"], shared=shared)
    assert (opened["normalized"], opened["counts"]) == (GENES, True)
    ask("discard", {"handle": opened["handle"]})


def test_r_learns_whether_a_thread_may_still_read_what_it_keeps():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, name="cellferry-test")
    thread.start()
    opened = open_study(["normalized"])
    answer, _ = ask("discard", {"handle": opened["handle"]})
    assert answer["value"] == {"discarded": True, "ended": False}
    go_on.set()
    thread.join()
    # One of another test may still wait for its server.
    others = [t for t in threading.enumerate() if t.name.startswith("cellferry")]
    answer, _ = ask("discard", {"handle": opened["handle"]})
    assert answer["value"] == {"discarded": False, "ended": not others}


def test_a_study_without_an_engine_takes_all_genes_of_both_layers():
    opened = open_study(["normalized", "counts"])
    assert opened["normalized"] == GENES
    assert opened["counts"] is True
    rng = np.random.default_rng(1)
    normalized = sparse.csr_matrix(rng.poisson(0.5, (N_CELLS, 3)) / 3)
    counts = sparse.csr_matrix(rng.poisson(0.5, (N_CELLS, 2)).astype(float))
    send_part(opened["handle"], "normalized", normalized)
    send_part(opened["handle"], "counts", counts)
    answer, buffers = ask("study_parts", {"handle": opened["handle"]})
    value = answer["value"]
    assert value["normalized"]["n"] == [N_CELLS, 3]
    found = numbers(value["counts"]["sums"]["cells"], buffers)
    np.testing.assert_array_equal(found, np.asarray(counts.sum(axis=1)).ravel())
    assert value["normalized"]["sums"]["nnz"] == str(normalized.nnz)
    assert ask("discard", {"handle": opened["handle"]})[0]["value"]["discarded"]


def test_frames_embeddings_and_graph_arrive_whole():
    message = Message()
    flags = [i % 2 for i in range(N_CELLS)]
    graph = sparse.random(N_CELLS, N_CELLS, 0.2, format="csc", random_state=1)
    opened = open_study(
        ["obs", "var"],
        message,
        obs={
            "n": N_CELLS,
            "columns": [
                {"name": "flag", "kind": "logical", "values": message.vector(flags, "|u1")}
            ],
            "index": [f"c{i}" for i in range(N_CELLS)],
        },
        var={"n": 3, "columns": [], "index": GENES},
        embeddings=[
            {"name": "pca", "n": 2, "values": message.vector(np.arange(2.0 * N_CELLS), "<f8")}
        ],
        graph={
            "name": "nn",
            "indptr": message.vector(graph.indptr, "<i4"),
            "indices": message.vector(graph.indices, "<i4"),
            "data": message.vector(graph.data, "<f8"),
        },
    )
    made = handles.kept(opened["handle"], bridge_studies.OpenStudy).complete()
    assert list(made.obs["flag"]) == [bool(f) for f in flags]
    assert list(made.obs.index) == list(made.cells)
    assert made.var.shape == (3, 0)
    np.testing.assert_array_equal(made.embeddings["pca"][:, 1], np.arange(N_CELLS, 2.0 * N_CELLS))
    assert (made.graph[1] != graph).nnz == 0
    answer, _ = ask("study_parts", {"handle": opened["handle"]})
    assert answer["value"]["obs_items"] == [
        {"item": "flag", "what": "bool", "action": "taken", "why": ""}
    ]


def test_only_what_was_asked_for_is_taken():
    opened = open_study(["counts"])
    assert opened["normalized"] is None
    with pytest.raises(AssertionError, match="were asked for"):
        send(opened["handle"], sparse.csr_matrix((N_CELLS, 3)))


def test_expression_on_demand_is_asked_for_when_it_is_read():
    rng = np.random.default_rng(1)
    counts = sparse.csr_matrix(rng.poisson(0.5, (N_CELLS, 2)).astype(float))
    opened = open_study(
        ["normalized", "counts"], on_demand={"normalized": None, "counts": str(counts.nnz)}
    )
    assert (opened["normalized"], opened["counts"]) == (GENES, True)
    with pytest.raises(AssertionError, match="were asked for"):
        send(opened["handle"], sparse.csr_matrix((N_CELLS, 3)))
    made = handles.take(opened["handle"], bridge_studies.OpenStudy)
    study = made.complete()
    assert (study.counts.stored_values, study.normalized.stored_values) == (counts.nnz, None)
    with pytest.raises(CancelledWork):
        next(iter(study.counts))
    questions = []

    def of_r(question):
        questions.append(json.loads(question))
        return block_of(counts, questions[-1]["block"])

    with made.read_by(ask_by(of_r)) as study:
        for _ in range(2):
            found = sparse.vstack([block for _, block in study.counts])
            np.testing.assert_array_equal(found.toarray(), counts.toarray())
    assert [q["part"] for q in questions] == ["counts"] * 6
    assert [q["block"] for q in questions] == [1, 2, 3] * 2
    with pytest.raises(CancelledWork):
        next(iter(study.counts))


def test_how_many_values_some_genes_have_is_not_known():
    message = Message()
    sent = study(message, on_demand={"normalized": "100", "counts": None})
    made = bridge_studies.OpenStudy(
        bridge_studies.study_from_wire(wire.decode(sent, message.buffers))
    )
    made.expect(sent, frozenset({"normalized"}), ["B"])
    assert made.on_demand["normalized"].stored_values is None
    made.expect(sent, frozenset({"normalized"}), GENES)
    assert made.on_demand["normalized"].stored_values == 100


def test_a_study_that_is_not_open_is_an_internal_error():
    for call in ("study_parts", "block"):
        answer, _ = ask(call, {"handle": "none", "part": "counts"})
        assert answer["error"]["code"] == "internal"
    opened = open_study([])
    answer, _ = ask("annotate", {"handle": opened["handle"]})
    assert "without an engine" in answer["error"]["message"]


def test_a_frame_is_read_back_as_it_came():
    message = Message()
    values = np.array([1, 2, 3], "<i4")
    column = {"name": "rank", "kind": "integer", "values": message.vector(values, "<i4")}
    mask = message.vector([0, 1, 0], "|u1")
    opened = open_study([], message, var={"n": 3, "columns": [{**column, "mask": mask}]})
    answer, buffers = ask("study_parts", {"handle": opened["handle"]})
    assert read(answer["value"]["var"], buffers, "rank") == [1, None, 3]


@pytest.mark.slow
def test_layers_that_pass_two_to_the_31_values_are_taken_block_by_block():
    """One block of 2^22 values, kept once in memory, sent until there are more than 2^31."""
    n_genes, n_rows, times = 2**16, 64, 513
    message = Message()
    block = {
        "part": "counts",
        "indptr": message.vector(np.arange(n_rows + 1) * n_genes, "<i4"),
        "indices": message.vector(np.tile(np.arange(n_genes), n_rows), "<i4"),
        "data": message.vector(np.ones(n_rows * n_genes), "<f8"),
    }
    opened = open_study(
        ["counts"],
        names=["all"],
        codes=None,
        cells=[str(i) for i in range(n_rows * times)],
        genes=["g"],
        counts_genes=[str(i) for i in range(n_genes)],
    )
    for k in range(times):
        body = {**block, "handle": opened["handle"], "row_start": k * n_rows, "n_rows": n_rows}
        answer, _ = ask("block", body, message.buffers)
        assert answer["ok"], answer
    source = handles.kept(opened["handle"], bridge_studies.OpenStudy).complete().counts
    assert source.nnz == n_genes * n_rows * times > 2**31
    start, last = list(source)[-1]
    assert start == n_rows * (times - 1)
    assert last.sum() == n_rows * n_genes
    ask("discard", {"handle": opened["handle"]})
