"""The labels of a reference: one judge for what is trained on and what is compared with."""

import numpy as np
import pandas as pd
import pytest

from cellferry import errors
from cellferry.engines.contract import example_cells
from cellferry.engines.models.labels import labels_of, with_labelled
from cellferry.study.build import study_of_cells


def study(labels):
    adata = example_cells(len(labels))
    adata.obs["kind"] = pd.Series(labels, index=adata.obs.index, dtype=object)
    return study_of_cells(adata, group_key="kind")


KINDS = ["B cell"] * 12 + ["T cell"] * 12


def test_classes_are_in_order_and_each_cell_has_its_code():
    found = labels_of(study(["T cell"] * 12 + ["B cell"] * 12), leave_out=False, fewest=10)
    assert found.names == ("B cell", "T cell")
    assert found.codes.tolist() == [1] * 12 + [0] * 12
    assert found.sizes.tolist() == [12, 12]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["B cell"] * 24, 'A reference needs two labels of 10 cells or more; "kind" has "B cell".'),
        ([*KINDS, None, "unknown"], '2 of 26 cells have no label in "kind".'),
        ([*KINDS, "X", "X", "X"], '1 label of "kind" has fewer than 10 cells: "X" (3).'),
        (
            [*KINDS, "X", "Y", "Y"],
            '2 labels of "kind" have fewer than 10 cells: "X" (1), "Y" (2).',
        ),
    ],
)
def test_what_teaches_nothing_is_refused(labels, said):
    with pytest.raises(errors.ModelError) as caught:
        labels_of(study(labels), leave_out=False, fewest=10, what="reference", option="drop")
    assert caught.value.message == said
    assert "`drop=True`" in caught.value.hint or "needs two" in said


def test_left_out_is_left_out():
    labels = [None, *KINDS, "X", "unknown"]
    found = labels_of(study(labels), leave_out=True, fewest=10)
    assert found.names == ("B cell", "T cell")
    assert found.codes.tolist() == [-1, *([0] * 12), *([1] * 12), -1, -1]


def test_of_bulk_samples_one_is_enough():
    found = labels_of(study(["B cell", "T cell", "X"] * 3), leave_out=False, fewest=1)
    assert found.names == ("B cell", "T cell", "X")
    with pytest.raises(errors.ModelError, match=r'A model needs two labels; "kind" has "B cell"'):
        labels_of(study(["B cell"] * 9), leave_out=False, fewest=1)


def test_an_object_a_file_and_a_study_are_the_same(tmp_path):
    adata = example_cells(30)
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    names = [
        with_labelled(
            data, "cluster", lambda made: labels_of(made, leave_out=False, fewest=1).codes
        )
        for data in (adata, path, str(path), study_of_cells(adata, group_key="cluster"))
    ]
    assert all(np.array_equal(found, names[0]) for found in names)
    with pytest.raises(errors.ModelError, match="this has none"):
        labels_of(study_of_cells(adata[:, :3].copy()).with_parts(group_key=None), leave_out=False,
                  fewest=1)  # fmt: skip
