"""The files that --cells reads."""

import anndata
import pytest

from cell_data import cells
from cellferry import errors
from cellferry.cli.cell_inputs import Asked, opened_cells
from cellferry.engines import create_cell_engine


def asked(path, **more):
    given = {"key": "type", "group_key": None, "context": {"species": "human"}, **more}
    return Asked(path, path.with_name("out"), **given)


def test_an_anndata_is_read_labelled_and_written(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells(12).write_h5ad(path)
    request = asked(path)
    assert (request.folder.name, request.suffix) == ("out_run", ".h5ad")
    with opened_cells(request, create_cell_engine("local", {})) as held:
        assert held.kind == "AnnData"
        assert len(held.study.cells) == 12
        held.save(tmp_path / "again.h5ad")
    assert anndata.read_h5ad(tmp_path / "again.h5ad").n_obs == 12


def test_a_column_of_others_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "cells.h5ad"
    adata = cells(12)
    adata.obs["type"] = "mine"
    adata.write_h5ad(path)
    engine = create_cell_engine("local", {})
    with pytest.raises(errors.ColumnExistsError), opened_cells(asked(path), engine):
        pass
    with opened_cells(asked(path, overwrite=True), engine) as held:
        assert len(held.study.cells) == 12


@pytest.mark.parametrize(
    ("name", "error"),
    [("x.csv", errors.UnsupportedObjectError), ("x.h5ad", errors.InputError)],
)
def test_other_files_are_refused_by_class(tmp_path, name, error):
    path = tmp_path / name
    path.write_text("cluster,gene\n")
    with pytest.raises(error), opened_cells(asked(path), create_cell_engine("local", {})):
        pass
