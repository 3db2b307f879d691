from pathlib import Path

import pytest

from cell_data import cells
from cellferry import annotate_cells, errors
from cellferry.cli.cell_inputs import Asked, H5adCells, opened_cells
from cellferry.engines import create_cell_engine


def asked(path, **options):
    known = {"tissue": None, "species": "human", "study_context": ""}
    return Asked(Path(path), Path(path).with_name("out"), "k", None, known, **options)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.h5ad"
    cells(12).write_h5ad(path)
    return path


def test_an_h5ad_is_read_labelled_and_saved(file, tmp_path):
    import anndata

    with opened_cells(asked(file), create_cell_engine("local")) as opened:
        assert isinstance(opened, H5adCells)
        assert opened.study.cells[0] == "cell-0"
        assert opened.coordinates is None
        found = annotate_cells(opened.study, key="k", progress=False)
        frame = opened.deliver(found)
        opened.save(tmp_path / "out.h5ad")
    assert frame["k"].tolist() == list(found.label.values())
    assert anndata.read_h5ad(tmp_path / "out.h5ad").obs["k"].tolist() == list(found.label.values())


def test_names_of_files_follow_the_input(file):
    assert (asked(file).suffix, asked("x.RDS").suffix) == (".h5ad", ".rds")
    assert asked(file).folder.name == "out_run"


def test_what_cannot_be_read_is_refused(file, tmp_path):
    engine = create_cell_engine("local")
    for name, error in {
        "none.h5ad": errors.InputError,
        "none.rds": errors.InputError,
        "x.csv": errors.UnsupportedObjectError,
    }.items():
        with pytest.raises(error), opened_cells(asked(tmp_path / name), engine):
            pass
    adata = cells(12)
    adata.obs["k"] = "mine"
    adata.write_h5ad(file)
    with pytest.raises(errors.ColumnExistsError), opened_cells(asked(file), engine):
        pass
    with opened_cells(asked(file, overwrite=True), engine) as opened:
        assert len(opened.study.cells) == 12
