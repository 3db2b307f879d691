"""Cells that an assay does not have are not in the study, and are remembered beside it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.annotations.cells import CellAnnotations
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.bridge.rds import delivered_columns
from cellferry.study.clusters import Clusters
from cellferry.study.record import study_from_record, study_record
from cellferry.study.study import Absent, Study

CLUSTERS = ("0", "1", "2")


def study_of(codes, measured):
    """The study of the measured cells, with the others beside it."""
    codes, inside = np.array(codes, dtype=np.int32), np.array(measured, dtype=bool)
    names = np.array([f"cell{i}" for i in range(len(codes))])
    others = Absent(tuple(names[~inside].tolist()), codes[~inside])
    clusters = Clusters(CLUSTERS, codes[inside]).with_others(others.codes)
    return Study(clusters, group_key="leiden", cells=tuple(names[inside].tolist()), absent=others)


cells = st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(cells)
def test_counts_of_the_study_are_of_measured_cells_and_those_of_the_object_of_all(given_cells):
    codes, measured = zip(*given_cells, strict=True)
    study = study_of(codes, measured)
    inside = [c for c, m in given_cells if m]
    assert study.clusters.counts() == {n: inside.count(i) for i, n in enumerate(CLUSTERS)}
    assert study.clusters.counts_in_object() == {n: codes.count(i) for i, n in enumerate(CLUSTERS)}
    again = study_from_record(study_record(study)).clusters
    assert again.counts_in_object() == study.clusters.counts_in_object()
    assert again.counts() == study.clusters.counts()


@settings(max_examples=50, deadline=None)
@given(cells)
def test_the_label_of_a_cluster_reaches_every_cell_of_it(given_cells):
    codes, measured = zip(*given_cells, strict=True)
    study = study_of(codes, measured)
    rows = tuple(Annotation(name, "ok", label=f"type {name}") for name in CLUSTERS)
    found = Annotations(rows).completed(study, "test", {"columns": ["cell_type"]})
    assert found.column("n_cells") == [codes.count(i) for i in range(3)]
    frame = delivered_columns(found, study, "cell_type")
    for i, code in enumerate(codes):
        label = frame.loc[f"cell{i}", "cell_type"]
        assert (label == f"type {code}") if code >= 0 else label != label


@settings(max_examples=50, deadline=None)
@given(cells.filter(lambda c: any(m for _, m in c)))
def test_cells_that_were_not_measured_are_skipped_and_in_no_majority(given_cells):
    codes, measured = zip(*given_cells, strict=True)
    study = study_of(codes, measured)
    labels = [f"type {i % 2}" for i in range(len(study.cells))]
    names = ["", "_status", "_majority", "_majority_share", "_disagrees"]
    columns = {"columns": [f"cell_type{end}" for end in names]}
    found = CellAnnotations.of(study.cells, labels, status=["ok"] * len(labels), provenance=columns)
    frame = delivered_columns(found, study, "cell_type")
    alone = delivered_columns(found, study.with_parts(absent=None), "cell_type")
    assert set(frame.index) == {f"cell{i}" for i in range(len(codes))}
    inside = frame.loc[list(study.cells)]
    for name in frame:
        assert [v if v == v else None for v in inside[name]] == [
            v if v == v else None for v in alone[name]
        ]
    outside = frame.loc[list(study.absent.cells)]
    assert set(outside["cell_type_status"]) <= {"skipped"}
    assert outside.drop(columns="cell_type_status").isna().all(axis=None)


def test_why_a_cell_was_skipped_is_said():
    found = CellAnnotations.of(["a"], ["B cell"], status=["ok"])
    more = found.with_skipped(("b", "c"), "It is not in the sketch.")
    assert more.to_frame()["error"].tolist()[1:] == ["It is not in the sketch."] * 2
    assert more.counts() == {"ok": 1, "skipped": 2}
    assert more.summary().column("n_cells") == [1]
