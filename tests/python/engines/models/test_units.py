"""A block as a unit: what is finished is known by all that decides it, and only whole."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from cellferry.engines.models.units import BlockUnit
from cellferry.errors import OutputError
from cellferry.runs.run import Run

BLOCK = csr_matrix(np.array([[0, 1.5], [2, 0]]))
FOUND = {"codes": np.array([1, 0], dtype=np.int32), "labels": np.array(["B", "Tä"])}


@pytest.fixture
def run(tmp_path):
    return Run.create("singler", tmp_path / "run", remembered=False)


def unit(run, start=0, block=BLOCK, key="k"):
    return BlockUnit.of(run.folder / "blocks", start, block, key)


def test_what_was_kept_is_found(run):
    unit(run).keep(FOUND, run, "cells 1 to 2")
    found = unit(run).kept(Run.open(run.folder).finished())
    assert {name: values.tolist() for name, values in found.items()} == {
        "codes": [1, 0], "labels": ["B", "Tä"],
    }  # fmt: skip


def test_other_values_another_place_and_other_options_are_another_unit(run):
    unit(run).keep(FOUND, run, "cells 1 to 2")
    finished = run.finished()
    assert unit(run, start=2).kept(finished) is None
    assert unit(run, key="other").kept(finished) is None
    assert unit(run, block=BLOCK * 2).kept(finished) is None
    assert unit(run, block=BLOCK[::-1]).kept(finished) is None


def test_a_damaged_file_and_one_that_is_gone_are_not_used(run):
    unit(run).keep(FOUND, run, "cells 1 to 2")
    path = unit(run).path
    path.write_bytes(path.read_bytes()[:-1])
    assert unit(run).kept(run.finished()) is None
    path.unlink()
    assert unit(run).kept(run.finished()) is None


def test_a_folder_that_cannot_be_written_is_said(run):
    (run.folder / "blocks").write_text("in the way")
    with pytest.raises(OutputError, match="The answer cannot be written"):
        unit(run).keep(FOUND, run, "cells 1 to 2")
    assert not run.finished()
