from dataclasses import replace

import pytest

from cell_data import answer, cells
from cellferry.annotate.completion import complete
from cellferry.annotations.clusters import Annotation, Annotations, kept_markers
from cellferry.engines import create_engine
from cellferry.errors import InternalError
from cellferry.runs.run import Run
from cellferry.study.build import study_from_markers, study_of_cells


@pytest.fixture
def run():
    return Run.create("local", provenance={"key": "cell_type"})


def test_clusters_in_another_order_are_refused(run):
    study = study_from_markers({"a": ["CD3E"], "b": ["CD19"]})
    found = Annotations((Annotation("b", "ok", label="x"), Annotation("a", "ok", label="y")))
    with pytest.raises(InternalError, match="answered"):
        complete(found, study, create_engine("local"), run)


def test_cells_in_another_order_are_refused(run):
    study = study_of_cells(cells(3))
    found = answer(["T cell", "B cell", "T cell"])
    assert complete(found, study, create_engine("local", level="cells"), run).cells == study.cells
    turned = replace(found, cells=found.cells[::-1])
    with pytest.raises(InternalError, match="every cell in its place"):
        complete(turned, study, create_engine("local", level="cells"), run)


def test_cells_get_the_majority_of_their_clusters_and_where_it_came_from(run):
    study = study_of_cells(cells(3))
    found = complete(
        answer(["T cell", "B cell", None]), study, create_engine("local", level="cells"), run
    )
    assert found.provenance["group_key"] == "cell_type"
    assert found.provenance["clusters_of"] == "leiden"
    assert "cell_type_disagrees" in found.provenance["columns"]
    assert found.evidence["clusters"]["0"]["share"] == 1.0
    assert found.evidence["clusters"]["2"] == {"label": None}
    assert run.results().evidence["cells"] == {"ok": 2, "skipped": 1}


def test_markers_that_travel_are_those_that_rank_best():
    study = study_from_markers({"a": [f"G{i}" for i in range(80)]})
    assert kept_markers(study.markers)["gene"] == [f"G{i}" for i in range(50)]
    assert kept_markers(None) == {}
