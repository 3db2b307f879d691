import errno
import os
import time

import duckdb
import h5py
import numpy as np
import pytest
from scipy import sparse

from artifact_data import counts_matrix, log_normalised, read_group
from bridge_messages import Message, ask, send_part
from cellferry.artifacts.vars_h5.writer import VarsWriter
from cellferry.bridge import handles
from cellferry.bridge.builds import OpenBuild
from cellferry.errors import ISSUE_URL

N_CELLS, GENES = 30, [f"g{i}" for i in range(6)]
CODES = [i % 3 - 1 for i in range(N_CELLS)]  # every third cell has no cluster


def begin(folder, message=None, options=None, shared=None, **changes):
    message = message or Message()
    study = {
        "group_key": "ident",
        "names": ["b", "a"],
        "codes": message.vector(CODES, "<i4"),
        "cells": [f"c{i}" for i in range(N_CELLS)],
        "genes": GENES,
        "counts_genes": GENES,
        "coordinates": {
            "name": "umap",
            "values": message.vector(np.arange(2 * N_CELLS, dtype=float), "<f8"),
        },
        "obs": {
            "n": N_CELLS,
            "columns": [{"name": "donor", "kind": "text", "values": ["d1", None] * (N_CELLS // 2)}],
        },
        "object": "Seurat",
        "shared": shared,
        **changes,
    }
    paths = {"vars_h5_path": str(folder / "v.h5"), "obs_duckdb_path": str(folder / "o.duckdb")}
    body = {"study": study, "options": {**paths, **(options or {})}}
    return ask("artifacts_begin", body, message.buffers)[0]


@pytest.fixture
def matrices():
    counts = counts_matrix(N_CELLS, 6).astype(np.float64)
    counts[3, 2] = 2**24 + 1  # a float32 would round it
    return sparse.csr_matrix(log_normalised(counts)), sparse.csr_matrix(counts)


def send(handle, matrices, parts=("normalized", "counts")):
    for part, matrix in zip(("normalized", "counts"), matrices, strict=True):
        if part in parts:
            send_part(handle, part, matrix)


@pytest.mark.parametrize("required", [True, False])
def test_both_files_and_the_statistics_come_from_blocks(tmp_path, matrices, required):
    opened = begin(tmp_path, options={"require_artifacts": required})["value"]
    assert (opened["normalized"], opened["counts"]) == (GENES, True)
    send(opened["handle"], matrices)
    answer, buffers = ask("artifacts_finish", {"handle": opened["handle"]})
    value = answer["value"]
    np.testing.assert_array_equal(read_group(value["vars_h5"], "vars"), matrices[0].toarray())
    np.testing.assert_array_equal(read_group(value["vars_h5"], "raw"), matrices[1].toarray())
    with duckdb.connect(value["obs_duckdb"], read_only=True) as connection:
        rows = connection.execute("SELECT donor, ident, __cell_name FROM obs").fetchall()
    assert rows[:3] == [("d1", None, "c0"), (None, "b", "c1"), ("d1", "a", "c2")]
    assert value["clusters"] == ["b", "a"]
    assert value["cells_per_cluster"] == [10, 10]
    expressed = (matrices[0].toarray() != 0).reshape(10, 3, 6)[:, 1:].mean(axis=0)
    found = np.frombuffer(buffers[value["percentages"]["$buffer"]]).reshape(6, 2).T
    np.testing.assert_allclose(found, 100 * expressed, atol=0.006)
    assert value["metadata"]["b"]["donor"]
    assert value["coordinates"]["name"] == "umap"
    assert value["normalisation"]["kind"] == "log_normalised"
    assert value["errors"] == {}
    assert ask("discard", {"handle": opened["handle"]})[0]["value"]["discarded"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.duckdb", "v.h5"]


def test_matrices_in_the_memory_of_another_process_are_not_looked_for(tmp_path):
    places = {"cells": [N_CELLS], "values": [1], "x": ["0x1"], "i": ["0x1"], "p": ["0x1"]}
    shared = {"process": "1", "normalized": places, "counts": places}
    opened = begin(tmp_path, shared=shared)["value"]
    assert opened["normalized"] == GENES
    ask("discard", {"handle": opened["handle"]})


def test_counts_of_other_genes_are_not_asked_for_and_it_is_said(tmp_path, matrices):
    opened = begin(tmp_path, counts_genes=GENES[:2])["value"]
    assert opened["counts"] is False
    send(opened["handle"], matrices, ["normalized"])
    answer, _ = ask("artifacts_finish", {"handle": opened["handle"]})
    places = answer["value"]["counts"]["columns"]
    assert places[2]["values"] == ["its genes are not those of the normalised values"]
    assert read_group(answer["value"]["vars_h5"], "vars").shape == (N_CELLS, 6)


def test_counts_that_are_none_are_left_out_with_a_warning(tmp_path, matrices):
    opened = begin(tmp_path)["value"]
    send(opened["handle"], (matrices[0], matrices[0]))
    answer, _ = ask("artifacts_finish", {"handle": opened["handle"]})
    assert [w["code"] for w in answer["warnings"]] == ["counts"]
    assert "which is no count" in answer["warnings"][0]["message"]
    with h5py.File(answer["value"]["vars_h5"]) as file:
        assert set(file) == {"vars", "info"}


def test_what_can_be_known_is_refused_before_anything_is_sent(tmp_path):
    before = set(handles._kept)

    def code(**options):
        return begin(tmp_path, options=options)["error"]["code"]

    assert code(obs_columns=["dono"]) == "group_missing"
    assert code(gene_symbols_column="none") == "group_missing"
    assert code(pcent_batch_size=0) == "invalid_option"
    assert code(vars_h5_path=str(tmp_path / "absent" / "v.h5")) == "artifact_build"
    assert handles._kept.keys() == before
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_reaches_r_with_the_next_block_or_at_the_end(tmp_path, matrices):
    opened = begin(tmp_path)["value"]
    values = matrices[0].copy()
    values.data[0] = np.nan
    send_part(opened["handle"], "normalized", values)
    answer, _ = ask("artifacts_finish", {"handle": opened["handle"]})
    assert answer["error"]["code"] == "artifact_values"
    assert 'cell "c' in answer["error"]["message"]
    ask("discard", {"handle": opened["handle"]})
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_is_given_up_leaves_nothing(tmp_path, matrices):
    opened = begin(tmp_path)["value"]
    send(opened["handle"], matrices, ["normalized"])
    deadline = time.monotonic() + 5
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(tmp_path.iterdir())
    assert ask("discard", {"handle": opened["handle"]})[0]["value"]["discarded"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_is_named_and_the_statistics_are_made(tmp_path, matrices):
    options = {"require_artifacts": False, "vars_h5_path": str(tmp_path / "absent" / "v.h5")}
    opened = begin(tmp_path, options=options)["value"]
    send(opened["handle"], matrices)
    value = ask("artifacts_finish", {"handle": opened["handle"]})[0]["value"]
    assert value["vars_h5"] is None
    assert "there is no folder" in value["errors"]["vars.h5"]
    assert value["cells_per_cluster"] == [10, 10]
    ask("discard", {"handle": opened["handle"]})
    assert [p.name for p in tmp_path.iterdir()] == ["o.duckdb"]


def test_an_interrupt_stops_the_build(tmp_path, matrices):
    opened = begin(tmp_path)["value"]
    send(opened["handle"], matrices)

    def interrupt(_event):
        raise KeyboardInterrupt

    answer, _ = ask("artifacts_finish", {"handle": opened["handle"]}, on_event=interrupt)
    assert answer["error"]["code"] == "interrupted"
    assert "no unfinished file" in answer["error"]["message"]


def test_a_study_that_is_only_read_is_no_build(tmp_path):
    answer, _ = ask("artifacts_finish", {"handle": "none"})
    assert answer["error"]["code"] == "internal"


def test_a_full_disk_reaches_r_with_the_block_that_is_sent_then(tmp_path, matrices, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(VarsWriter, "write", fail)
    opened = begin(tmp_path)["value"]
    worker = handles.kept(opened["handle"], OpenBuild).worker
    worker.cancel(5)  # waits until it has failed
    message = Message()
    block = {
        "handle": opened["handle"], "part": "normalized", "row_start": 0, "n_rows": N_CELLS,
        "indptr": message.vector(matrices[0].indptr, "<i4"),
        "indices": message.vector(matrices[0].indices, "<i4"),
        "data": message.vector(matrices[0].data, "<f4"),
    }  # fmt: skip
    answer, _ = ask("block", block, message.buffers)
    assert answer["error"]["code"] == "artifact_build"
    assert "the disk is full" in answer["error"]["message"]
    assert ISSUE_URL in answer["error"]["hint"]
    ask("discard", {"handle": opened["handle"]})
    assert list(tmp_path.iterdir()) == []
