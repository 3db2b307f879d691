import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cell_data import answer
from cellferry.annotations.cells import CellAnnotations
from cellferry.annotations.clusters import CONFIDENCE_KINDS, STATUSES, Annotation
from cellferry.errors import AnnotationsFormatError, InternalError
from cellferry.study.clusters import Clusters


def test_frame_has_the_columns_of_annotations_keyed_by_cell():
    frame = answer(["T cell", "Unknown", None]).to_frame()
    assert frame.index.tolist() == ["cell-0", "cell-1", "cell-2"]
    assert frame["label"].tolist()[:2] == ["T cell", "Unknown"]
    assert frame["label"].isna().tolist() == [False, False, True]
    assert frame["status"].tolist() == ["ok", "unknown", "skipped"]
    assert frame["ontology_id"].iloc[0] == "CL:0000084"
    assert frame["error"].iloc[2] == "Too few counts."
    assert frame["supporting"].tolist() == [["CD3D"], [], []]
    assert "supporting" not in answer(["T cell"]).to_frame(lists=False)


def test_a_file_gives_everything_back(tmp_path):
    found = answer(["T cell", "B cell", None, "Unknown"], provenance={"run": "x"},
                   evidence={"diagnoses": []}, model="m")  # fmt: skip
    found.save(tmp_path / "cells.npz")
    read = CellAnnotations.load(tmp_path / "cells.npz")
    assert read.to_frame().equals(found.to_frame())
    assert read.cells == found.cells
    assert (read.provenance, read.evidence, read.model) == ({"run": "x"}, {"diagnoses": []}, "m")
    assert dict(read.ontology) == dict(found.ontology)
    assert [p.name for p in tmp_path.iterdir()] == ["cells.npz"]


@pytest.mark.parametrize("content", [b"", b"not a file of arrays", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_an_error(tmp_path, content):
    path = tmp_path / "cells.npz"
    path.write_bytes(content)
    with pytest.raises(AnnotationsFormatError, match="cannot be read"):
        CellAnnotations.load(path)


def test_a_file_of_another_schema_says_so(tmp_path):
    plain = np.frombuffer(json.dumps({"schema": "cellferry.cell_annotations/99"}).encode(), "u1")
    np.savez(tmp_path / "cells.npz", plain=plain)
    with pytest.raises(AnnotationsFormatError, match="newer cellferry"):
        CellAnnotations.load(tmp_path / "cells.npz")


def test_answers_that_contradict_themselves_are_refused():
    with pytest.raises(InternalError, match="no label"):
        CellAnnotations.of(["a"], [None], status=["ok"])
    with pytest.raises(InternalError, match="unknown"):
        CellAnnotations.of(["a"], ["T cell"], status=["unknown"])
    with pytest.raises(InternalError, match="must have an error"):
        CellAnnotations.of(["a"], [None], status=["failed"])
    with pytest.raises(InternalError, match="between 0 and 1"):
        CellAnnotations.of(["a"], ["T cell"], status=["ok"], confidence=[1.5],
                           confidence_kind="graded")  # fmt: skip
    with pytest.raises(InternalError, match="no kind"):
        CellAnnotations.of(["a"], ["T cell"], status=["ok"], confidence=[0.5])
    with pytest.raises(InternalError, match="one value for each"):
        answer(["T cell"], confidence=[0.1, 0.2])


CELL = st.tuples(
    st.sampled_from(STATUSES),
    st.sampled_from(["T cell", "Unknown", None]),
    st.sampled_from(["No counts.", None]),
    st.sampled_from([0.0, 0.5, 1.0, 1.5, -0.1, None]),
)


@given(st.lists(CELL, min_size=1, max_size=4), st.sampled_from([*CONFIDENCE_KINDS, None, "sure"]))
def test_cells_have_the_rules_of_clusters(values, kind):
    def refused(make):
        try:
            make()
        except InternalError:
            return True
        return False

    expected = any(
        refused(lambda row=row: Annotation("0", row[0], label=row[1], error=row[2],
                                           confidence=row[3], confidence_kind=kind))
        for row in values
    )  # fmt: skip
    status, labels, errors, sure = (list(column) for column in zip(*values, strict=True))
    names = [str(i) for i in range(len(values))]
    found = refused(
        lambda: CellAnnotations.of(
            names,
            labels,
            status=status,
            error=errors,
            confidence=[np.nan if c is None else c for c in sure],
            confidence_kind=kind,
        )
    )
    assert found == expected


def test_what_is_counted_from_all_cells_is_counted_once():
    found = answer(["T cell", "B cell", None])
    clusters = Clusters.from_labels(["0", "0", "1"])
    assert found.summary() is found.summary()
    most = found.majority(clusters)
    assert found.majority(clusters) is most
    assert found.with_notes(a=1).majority(clusters) is most
    other = found.majority(Clusters.from_labels(["0", "1", "1"]))
    assert other["1"].label == "B cell"
    assert found.with_notes(a=1).summary().evidence["a"] == 1


def test_it_says_what_it_is():
    assert repr(answer(["T cell", "T cell", None])).splitlines()[0] == (
        "<cellferry CellAnnotations: 3 cells: 2 ok, 1 skipped; 1 label>"
    )
    assert "T cell" in answer(["T cell"])._repr_html_()
    assert answer(["T cell", None]).counts() == {"ok": 1, "skipped": 1}
    assert answer(["T cell"]).with_notes(a=1).evidence == {"a": 1}
    assert np.isnan(answer(["Unknown"]).confidence[0])
