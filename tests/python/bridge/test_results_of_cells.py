import numpy as np
import pytest

from cell_data import answer
from cellferry.annotations.cells import CellAnnotations
from cellferry.annotations.clusters import Annotations
from cellferry.bridge import wire
from cellferry.bridge.requests import engine_of, level_of
from cellferry.bridge.results import results
from cellferry.bridge.studies import genes_wanted, parts_to_send
from cellferry.engines.cellatlas import CellAtlas
from cellferry.engines.local import Local
from cellferry.engines.local.cells import LocalCells
from cellferry.errors import UnknownOptionError
from cellferry.runs.run import Run
from cellferry.study.study import Clusters, Study


def message(**more):
    return {"engine": {"name": "local", "options": {}}, **more}


def test_the_engine_is_of_the_level_that_is_asked_for():
    assert isinstance(engine_of(message()), Local)
    assert isinstance(engine_of(message(level="cells")), LocalCells)
    assert level_of({}) == "clusters"
    with pytest.raises(UnknownOptionError):
        engine_of({"engine": {"name": "local", "options": {"smooth": True}}})


def test_a_run_brings_its_own_options():
    run = Run.create("local", level="cells", options={"smooth": True})
    assert engine_of(message(level="cells"), run).smooth


def test_results_are_columns_of_raw_bytes():
    found = answer(["T cell", None, "Unknown", "B cell"], provenance={"key": "k", "run": "r"})
    study = Study(Clusters.from_labels(["0", "0", "1", "1"]), "c", cells=found.cells)
    out = wire.Outgoing()
    value = results(found, study, out)
    assert (value["run"], value["key"]) == ("r", "k")
    columns = {c["name"]: c for c in value["delivery"]["columns"]}
    assert columns["cluster"]["values"] == list(found.cells)
    codes = wire.vector(columns["k"]["codes"], out.buffers)
    assert [columns["k"]["levels"][c] if c >= 0 else None for c in codes] == [
        "T cell", None, "Unknown", "B cell",
    ]  # fmt: skip
    mask = wire.vector(columns["k_confidence"]["mask"], out.buffers)
    assert mask.tolist() == np.isnan(found.confidence).astype(int).tolist()
    assert columns["k_disagrees"]["kind"] == "logical"
    assert len(Annotations.from_json(value["json"])) == 3
    assert isinstance(found, CellAnnotations)


def test_of_values_and_counts_only_what_is_read_is_sent():
    atlas = CellAtlas(api_url="http://127.0.0.1:1/x")
    both = {"genes": ["A"], "counts_genes": ["A"]}
    assert parts_to_send(atlas, both) == {"cells", "counts", "obs"}
    assert parts_to_send(atlas, {"genes": ["A"]}) == {"cells", "counts", "normalized", "obs"}
    insisting = CellAtlas(api_url="http://127.0.0.1:1/x", values="normalized")
    assert parts_to_send(insisting, both) == {"cells", "normalized", "obs"}
    assert "normalized" in parts_to_send(LocalCells(), both)
    study = Study(Clusters((), [-1]), cells=("c",), genes=("A",))
    assert genes_wanted(study, atlas, parts_to_send(atlas, both)) is None
    assert genes_wanted(study, atlas, parts_to_send(atlas, {"genes": ["A"]})) == ["A"]
