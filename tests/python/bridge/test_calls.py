import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from bridge_messages import CODES, Message, ask, begin, block_of, read, send
from cell_data import cells
from cellferry import annotate_cells, engines
from cellferry.annotations import clusters as annotations
from cellferry.bridge import handles
from cellferry.engines.local import Local
from cellferry.runs.run import list_runs
from fresh_python import python
from plain_genes import plain_genes

B = ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]
T = ["CD3E", "CD3D", "TRAC", "IL7R", "LTB"]
GENES = [*B, *T, *plain_genes(200)]


def test_describe_tells_r_everything_it_must_know():
    answer, _ = ask("describe")
    value = answer["value"]
    assert value["dependencies"]
    assert None not in value["dependencies"].values()


@pytest.mark.parametrize("level", ["clusters", "cells"])
def test_an_engine_is_described_by_its_options_and_variables(level):
    known = engines.usable_engines(level)
    for name in engines.engine_names(level):
        value = ask("engine", {"name": name, "level": level})[0]["value"]
        assert value["options"] == json.loads(json.dumps(known[name]))
        assert value["variables"] == engines.environment_variables(name, level)
    assert (
        "CELLATLAS_API_KEY"
        in ask("engine", {"name": "cellatlas", "level": "cells"})[0]["value"]["variables"]
    )


def test_an_engine_that_is_none_has_no_options():
    value = ask("engine", {"name": "locl", "level": "clusters"})[0]["value"]
    assert value == {"options": None, "variables": []}


@pytest.mark.process
def test_a_session_that_labels_a_table_imports_no_other_engine():
    code = (
        "import json, sys\n"
        "from cellferry import bridge\n"
        "def ask(name, message):\n"
        "    bridge.call(name, json.dumps(message).encode())\n"
        "ask(b'describe', {'versions': {}})\n"
        "ask(b'engine', {'name': 'local', 'level': 'clusters'})\n"
        "print(*(m.split('.')[2] for m in sys.modules if m.startswith('cellferry.engines.')))\n"
        "print(*{'pandas', 'anndata', 'h5py', 'scipy', 'ssl'} & set(sys.modules))\n"
    )
    done = python(code)
    ours, others = done.stdout.split("\n")[:2]
    assert set(ours.split()) & set(engines.ENGINES) == {"local"}, done.stderr
    assert others == ""


def marker_frame(message, pct_1=0.9):
    genes = [*B, *T]
    n = len(genes)

    def real(name, value):
        return {"name": name, "kind": "real", "values": message.vector([value] * n, "<f8")}

    return {
        "n": n,
        "columns": [
            real("p_val", 0.0),
            real("avg_log2FC", 2.0),
            real("pct.1", pct_1),
            real("pct.2", 0.1),
            real("p_val_adj", 0.0),
            {
                "name": "cluster",
                "kind": "category",
                "levels": ["10", "2"],
                "codes": message.vector([0] * 5 + [1] * 5, "<i4"),
                "ordered": False,
            },
            {"name": "gene", "kind": "text", "values": genes},
        ],
    }


def request(message, codes, pct_1=0.9, **changes):
    return {
        "engine": {"name": "local", "options": {}},
        "key": "cell_type",
        "existing": ["orig.ident"],
        "reserved": {"assay": ["RNA"], "reduction": ["umap"], "graph": []},
        "stored": {},
        "overwrite": False,
        "allow_upload": False,
        "study": {
            "group_key": "ident",
            "names": ["10", "2"],
            "codes": message.vector(codes, "<i4"),
            "cells": [f"c{i}" for i in range(len(codes))],
            "genes": GENES,
            "markers": marker_frame(message, pct_1),
            "tissue": "blood",
            "study_context": "",
            "object": "Seurat",
        },
        "parameters": {"tissue": "blood"},
        **changes,
    }


def expression(wanted):
    """Return cells x wanted genes in which nine of ten cells express their cluster's genes."""
    own = {**dict.fromkeys(B, 0), **dict.fromkeys(T, 1)}
    values = np.zeros((len(CODES), len(wanted)))
    for column, gene in enumerate(wanted):
        for row, code in enumerate(CODES):
            values[row, column] = 1.5 if own.get(gene) == code and row % 10 else 0
    return sparse.csr_matrix(values)


def test_a_study_goes_in_blocks_to_python_and_labels_come_back():
    message = Message()
    answer = begin(request(message, CODES), message)
    assert answer["ok"], answer
    wanted = answer["value"]["normalized"]
    assert set(wanted) <= set(GENES)
    send(answer["value"]["handle"], expression(wanted))
    events = []
    answer, buffers = ask("annotate", {"handle": answer["value"]["handle"]}, (), events.append)
    assert answer["ok"], answer
    value = answer["value"]
    table = annotations.Annotations.from_json(value["json"])
    assert table.column("cluster") == ["10", "2"]
    assert table.column("n_cells") == [10, 10]
    assert read(value["delivery"], buffers, "cell_type") == table.column("label")
    assert read(value["delivery"], buffers, "cell_type")[0] == "B cell"
    assert 0 < read(value["delivery"], buffers, "cell_type_confidence")[0] <= 1
    assert events
    assert [w["code"] for w in answer["warnings"]] == ["cells_without_cluster"]
    again, _ = ask("run_resume", {"run": value["run"]})
    assert json.loads(again["value"]["json"])["rows"] == json.loads(value["json"])["rows"]


def test_markers_of_another_clustering_stop_it_before_a_run_exists():
    message = Message()
    answer = begin(request(message, CODES, pct_1=0.2), message)
    send(answer["value"]["handle"], expression(answer["value"]["normalized"]))
    answer, _ = ask("annotate", {"handle": answer["value"]["handle"]})
    assert answer["error"]["code"] == "markers_mismatch"
    assert list_runs() == []


def test_missing_rows_of_expression_are_noticed():
    message = Message()
    answer = begin(request(message, CODES), message)
    handle = answer["value"]["handle"]
    send(handle, expression(answer["value"]["normalized"])[:8])
    answer, _ = ask("annotate", {"handle": handle})
    assert "Fewer rows" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "RNA"}, "invalid_key"),
        ({"existing": ["cell_type"]}, "column_exists"),
        ({"engine": {"name": "locl", "options": {}}}, "unknown_engine"),
        ({"engine": {"name": "local", "options": {"x": 1}}}, "unknown_option"),
    ],
)
def test_requests_are_checked_before_anything_is_computed(changes, code):
    message = Message()
    answer, _ = ask("request", request(message, CODES, **changes), message.buffers)
    assert answer["error"]["code"] == code


def test_a_discarded_study_is_gone():
    message = Message()
    answer = begin(request(message, CODES), message)
    handle = {"handle": answer["value"]["handle"]}
    assert ask("discard", handle)[0]["value"]["discarded"] is True
    assert ask("discard", handle)[0]["value"]["discarded"] is False


def test_a_run_is_resumed_only_with_its_own_object():
    message = Message()
    body = request(message, CODES)
    answer = begin(body, message)
    send(answer["value"]["handle"], expression(answer["value"]["normalized"]))
    done, _ = ask("annotate", {"handle": answer["value"]["handle"]})
    run = done["value"]["run"]

    def resumed(codes):
        message = Message()
        body = request(message, codes, run=run)
        del body["study"]["markers"]
        answer = begin(body, message)
        # The answer is there: nothing is sent.
        assert (answer["value"]["normalized"], answer["value"]["counts"]) == (None, False)
        return ask("annotate", {"handle": answer["value"]["handle"]})[0]

    assert resumed(CODES)["value"]["json"] == done["value"]["json"]
    assert resumed(CODES[::-1])["error"]["code"] == "run_mismatch"
    listed, _ = ask("runs_list")
    assert listed["value"]["frame"]["columns"][0]["values"] == [run]


def test_markers_are_read_from_a_frame_lists_or_a_path(tmp_path):
    message = Message()
    answer, _ = ask("read_markers", {"frame": marker_frame(message)}, message.buffers)
    value = answer["value"]
    assert (value["clusters"], value["sizes"]) == (["10", "2"], [5, 5])
    assert value["ranking_methods"][0] == "avg_log2FC"
    frame, buffers = read_frame(value)
    assert read(frame, buffers, "cluster") == ["10"] * 5 + ["2"] * 5
    assert read(frame, buffers, "avg_log2FC") == [2.0] * 10
    # It is given once.
    assert ask("marker_frame", {"handle": value["handle"]})[0]["error"]["code"] == "internal"
    lists = {"names": ["a"], "genes": [B]}
    answer, _ = ask("read_markers", {"lists": lists})
    assert answer["value"]["source"] == "list"
    path = tmp_path / "m.csv"
    path.write_text('cluster,genes\n0,"CD3E,CD3D"\n', encoding="utf-8")
    answer, _ = ask("read_markers", {"path": str(path)})
    assert read(*read_frame(answer["value"]), "gene") == ["CD3E", "CD3D"]


def read_frame(value):
    answer, buffers = ask("marker_frame", {"handle": value["handle"]})
    return answer["value"]["frame"], buffers


def test_the_report_draws_the_embedding_that_r_stores_by_columns(tmp_path):
    message = Message()
    answer = begin(request(message, CODES), message)
    send(answer["value"]["handle"], expression(answer["value"]["normalized"]))
    done, _ = ask("annotate", {"handle": answer["value"]["handle"]})
    sent = Message()
    xy = np.column_stack([np.arange(21.0), np.arange(21.0) * 2])
    body = {
        "json": done["value"]["json"],
        "file": str(tmp_path / "r.html"),
        "coordinates": {"name": "umap", "values": sent.vector(xy.ravel(order="F"), "<f8")},
        "names": ["10", "2"],
        "codes": sent.vector(CODES, "<i4"),
    }
    answer, _ = ask("report", body, sent.buffers)
    assert answer["ok"], answer
    assert "<svg" in (tmp_path / "r.html").read_text(encoding="utf-8")


def cells_on_demand(cells, engine="local", on_event=None, call="annotate"):
    """Annotate cells whose counts R gives block by block; the answer, and what R was asked."""

    counts, n = sparse.csr_matrix(cells.layers["counts"].astype(float)), cells.n_obs
    message, questions = Message(), []
    genes = list(cells.var_names)
    body = request(message, [i % 2 for i in range(n)], level="cells", key="cell")
    body["engine"] = {"name": engine, "options": {}}
    body["study"].update(
        cells=list(cells.obs_names), genes=[], counts_genes=genes, on_demand={"counts": None}
    )
    del body["study"]["markers"]
    answer = begin(body, message)
    assert answer["ok"], answer

    def of_r(question):
        question = json.loads(question)
        if question["kind"] != "block":
            return None
        questions.append((question["block"], threading.get_ident()))
        return (on_event or block_of)(counts, question["block"])

    begun = {"handle": answer["value"]["handle"]}
    return ask(call, begun, on_event=of_r)[0], questions


def test_cells_are_annotated_from_blocks_that_r_is_asked_for_in_its_thread():
    adata = cells(30)
    answer, questions = cells_on_demand(adata)
    assert answer["ok"], answer
    (run,) = list_runs()
    assert run.content["status"] == "finished"
    table = annotations.Annotations.from_json(answer["value"]["json"])
    expected = annotate_cells(adata, species="human", progress=False).summary()
    # From counts or from values, the labels of these cells are the same.
    assert table.column("cluster") == expected.column("cluster")
    assert table.column("n_cells") == expected.column("n_cells")
    assert [block for block, _ in questions] == [1, 2, 3, 4]
    assert {thread for _, thread in questions} == {threading.get_ident()}


@pytest.mark.parametrize(
    ("failed", "code", "status"),
    [
        ({"class": "interrupt", "text": ""}, "interrupted", "interrupted"),
        ({"class": "simpleError", "text": "gone"}, "internal", "failed"),
        ({"class": "cellferry_invalid_object_error", "text": "It is."}, "invalid_object", "failed"),
    ],
)
def test_what_goes_wrong_in_r_in_the_middle_ends_the_run(failed, code, status):

    def of_r(counts, number):
        if number == 3:
            return [bytearray(json.dumps({"failed": failed}).encode())]
        return block_of(counts, number)

    answer, _ = cells_on_demand(cells(30), on_event=of_r)
    assert answer["error"]["code"] == code
    (run,) = list_runs()
    assert run.content["status"] == status
    assert answer["error"]["data"]["run"] == run.id


def test_a_dry_run_of_cells_says_what_it_would_take_and_makes_no_run():
    answer, _ = cells_on_demand(cells(30), call="plan")
    value = answer["value"]
    assert value["text"] == "local: 30 cells, 0 calls, 0 bytes sent, cost $0.00"
    assert (value["cells"], value["cost_usd"]) == (30, 0)
    assert list_runs() == []


def test_engine_consent_and_key_are_looked_at_once(monkeypatch):
    """What R asks for is checked with the request; neither later call makes an engine."""
    seen = []

    class Counting(Local):
        def __init__(self, **options):
            super().__init__(**options)
            seen.append("made")

        def prepare(self):
            seen.append("prepared")

        @property
        def capabilities(self):
            host = "atlas.example.org"
            return replace(super().capabilities, host=host, sends=frozenset({"expression"}))

    monkeypatch.setattr(engines, "engine_class", lambda *_: Counting)
    message = Message()
    answer, _ = ask("request", request(message, CODES), message.buffers)
    assert answer["error"]["code"] == "upload_not_allowed"
    assert seen == ["made"]
    seen.clear()
    message = Message()
    answer = begin(request(message, CODES, allow_upload=True), message)
    send(answer["value"]["handle"], expression(answer["value"]["normalized"]))
    answer, _ = ask("annotate", {"handle": answer["value"]["handle"]})
    assert answer["ok"], answer
    assert seen == ["made", "prepared"]


def test_a_request_that_is_given_up_leaves_nothing():
    before = dict(handles._kept)
    message = Message()
    body = request(message, CODES)
    asked, _ = ask("request", body, message.buffers)
    markers, _ = ask("read_markers", {"frame": body["study"]["markers"]}, message.buffers)
    for answer in (asked, markers):
        assert ask("discard", {"handle": answer["value"]["handle"]})[0]["value"]["discarded"]
    assert handles._kept == before
    # An annotation that is done leaves nothing either.
    answer = begin(body, message)
    send(answer["value"]["handle"], expression(answer["value"]["normalized"]))
    ask("annotate", {"handle": answer["value"]["handle"]})
    assert handles._kept == before


def test_a_table_alone_names_its_own_clusters():
    message = Message()
    body = request(message, CODES)
    body["study"] = {"markers": body["study"]["markers"], "object": "data.frame"}
    answer = begin(body, message)
    assert (answer["value"]["normalized"], answer["value"]["counts"]) == (None, False)
    answer, buffers = ask("annotate", {"handle": answer["value"]["handle"]})
    assert read(answer["value"]["delivery"], buffers, "cluster") == ["10", "2"]
