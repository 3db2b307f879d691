import numpy as np
import pandas as pd
import pytest

import cellferry
from cell_data import cells
from cellferry import annotate_cells, annotate_clusters, read_annotations
from cellferry.annotate.request import build_study
from cellferry.annotate.verb import plan
from cellferry.annotations.cells import CELLS_FILE, CellAnnotations
from cellferry.engines import create_engine, engine_options
from cellferry.engines.local import Local
from cellferry.errors import (
    ColumnExistsError,
    EngineNeedsError,
    InvalidKeyError,
    RunMismatchError,
    UnknownEngineError,
    UnknownOptionError,
    UnsupportedObjectError,
)
from cellferry.runs.run import Run, list_runs
from cellferry.study.study import Context


def test_the_object_gets_labels_and_a_summary_and_the_run_everything():
    adata = cells()
    before = adata.copy()
    found = annotate_cells(adata, progress=False)
    assert list(adata.obs.columns) == [
        "truth", "leiden", "cell_type_cell", "cell_type_cell_detail", "cell_type_cell_confidence",
        "cell_type_cell_ontology_id", "cell_type_cell_status", "cell_type_cell_raw",
        "cell_type_cell_majority", "cell_type_cell_majority_share", "cell_type_cell_disagrees",
    ]  # fmt: skip
    assert (adata.X != before.X).nnz == 0
    stored = read_annotations(adata)
    assert sum(row.n_cells for row in stored) == adata.n_obs
    assert stored.provenance["level"] == "cells"
    assert set(stored.evidence["clusters"]) == {"0", "1", "2"}
    run = Run.open(found.provenance["run"])
    assert run.content["status"] == "finished"
    read = CellAnnotations.load(run.folder / CELLS_FILE)
    assert read.to_frame().equals(found.to_frame())


def test_summary_is_recounted_after_a_subset():
    adata = cells()
    annotate_cells(adata, progress=False)
    part = adata[adata.obs["truth"] == "B cell"].copy()
    assert sum(row.n_cells for row in read_annotations(part)) == part.n_obs


def test_both_levels_live_side_by_side():
    adata = cells()
    annotate_clusters(adata, {"0": ["CD79A", "MS4A1", "CD79B", "CD19"],
                              "1": ["CD3D", "CD3E", "CD3G", "CD2"],
                              "2": ["CD14", "LYZ", "S100A9", "FCN1"]},
                      group_key="leiden", progress=False)  # fmt: skip
    annotate_cells(adata, progress=False)
    assert read_annotations(adata, "cell_type").provenance["level"] == "clusters"
    assert read_annotations(adata, "cell_type_cell").provenance["level"] == "cells"


def test_own_columns_are_replaced_and_foreign_ones_are_not():
    adata = cells()
    annotate_cells(adata, progress=False)
    annotate_cells(adata, progress=False)
    adata.obs["mine_majority"] = "x"
    with pytest.raises(ColumnExistsError, match="mine_majority"):
        annotate_cells(adata, key="mine", progress=False)
    annotate_cells(adata, key="mine", overwrite=True, progress=False)
    with pytest.raises(InvalidKeyError):
        annotate_cells(adata, key="a/b", progress=False)


def test_a_finished_run_gives_its_answer_again():
    adata = cells()
    found = annotate_cells(adata, progress=False)
    again = cells()
    assert (
        annotate_cells(again, resume=found.provenance["run"], progress=False)
        .to_frame()
        .equals(found.to_frame())
    )
    assert len(list_runs()) == 1
    with pytest.raises(RunMismatchError):
        annotate_cells(cells(30), resume=found.provenance["run"], progress=False)


def test_a_stopped_run_goes_on_with_its_object(monkeypatch):
    from cellferry.engines.local import cells as local

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(local, "expression_of", stop)
        with pytest.raises(KeyboardInterrupt) as caught:
            annotate_cells(cells(), progress=False)
    from cellferry import resume

    with pytest.raises(EngineNeedsError, match="Give the object"):
        resume(caught.value.run)
    found = annotate_cells(cells(), resume=caught.value.run, progress=False)
    assert Run.open(caught.value.run).content["status"] == "finished"
    assert found.counts()["ok"] > 50


def test_what_was_decided_about_cells_is_put_back_with_the_answer():
    adata, again = cells(), cells()
    found = annotate_cells(adata, progress=False)
    names = list(adata.obs_names[:3])
    cellferry.set_labels(adata, "Plasma cell", cells=names, key="cell_type_cell", by="AB")
    cellferry.resume(found.provenance["run"], again, progress=False)
    pd.testing.assert_frame_equal(again.obs, adata.obs)
    assert cellferry.decisions(again, "cell_type_cell")["by"].tolist() == ["AB"]
    cellferry.withdraw_decision(again, cells=names, key="cell_type_cell")
    third = cells()
    cellferry.resume(found.provenance["run"], third, progress=False)
    engine = dict(zip(found.cells, found.to_frame()["label"], strict=True))
    assert [engine[n] for n in names] == list(third.obs.loc[names, "cell_type_cell"])
    states = cellferry.decisions(third, "cell_type_cell")["state"].tolist()
    assert states == ["withdrawn", "in force"]


def test_wrong_engines_objects_and_options_are_refused():
    with pytest.raises(EngineNeedsError, match="answers clusters, not cells"):
        annotate_cells(cells(), engine=Local(), progress=False)
    with pytest.raises(UnknownEngineError, match="nonsense"):
        annotate_cells(cells(), engine="nonsense", progress=False)
    with pytest.raises(UnknownOptionError, match="smoth"):
        annotate_cells(cells(), smoth=True, progress=False)
    with pytest.raises(UnsupportedObjectError, match="dict"):
        annotate_cells({}, progress=False)
    with pytest.raises(EngineNeedsError, match="answers cells, not clusters"):
        annotate_clusters(cells(), {"0": ["CD3E"]}, group_key="leiden",
                          engine=create_engine("local", level="cells"), progress=False)  # fmt: skip


def test_ensembl_identifiers_become_symbols(caplog):
    adata = cells(15)
    ids = {"CD79A": "ENSG00000105369", "CD3D": "ENSG00000167286", "CD3E": "ENSG00000198851"}
    adata = adata[:, list(ids)].copy()
    adata.var_names = [ids[g] for g in adata.var_names]
    with caplog.at_level("INFO", logger="cellferry"):
        found = annotate_cells(adata, progress=False, species="human")
    assert found.evidence["genes"]["recognised"] == 3
    assert "3 of 3 were given their symbols" in caplog.text


def test_the_plan_counts_cells_and_nothing_is_sent():
    study = build_study(cells(), context=Context(species="human"), level="cells")
    found = plan(study, create_engine("local", level="cells"))
    assert (found.cells, found.calls, found.bytes_sent) == (60, 0, 0)
    assert "smooth" in engine_options("local", "cells")
    assert np.sum(study.clusters.codes >= 0) == 60
