from pathlib import Path

import anndata
import pandas as pd
import pytest

from cellferry import errors
from cellferry.cli.inputs import H5ad, Request, Table, opened_input
from cellferry.engines import create_engine
from cellferry.study.study import Context


def request(path, **options):
    given = {
        "markers": None, "group_key": None, "key": "cell_type", "context": Context(),
        "overwrite": False, "allow_upload": False, **options,
    }  # fmt: skip
    return Request(Path(path), create_engine("local", {}), **given)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("cluster,marker_genes\n0,CD3E\n1,LYZ\n", encoding="utf-8")
    return path


def test_a_table_has_no_object(table):
    with opened_input(request(table)) as opened:
        assert isinstance(opened, Table)
        assert opened.suffix is None
        assert opened.study.clusters.names == ("0", "1")
        with pytest.raises(NotImplementedError):
            opened.deliver(None)
        with pytest.raises(NotImplementedError):
            opened.save(table)


def test_an_h5ad_is_checked_before_it_is_studied(tmp_path, table):
    adata = anndata.AnnData(
        obs=pd.DataFrame({"k": ["0", "1"], "cell_type": ["x", "y"]}, index=["a", "b"])
    )
    adata.write_h5ad(tmp_path / "x.H5AD")
    with pytest.raises(errors.ColumnExistsError), opened_input(request(tmp_path / "x.H5AD")):
        pass
    wanted = request(tmp_path / "x.H5AD", overwrite=True, markers=table, group_key="k")
    with opened_input(wanted) as opened:
        assert isinstance(opened, H5ad)
        assert opened.suffix == ".h5ad"


@pytest.mark.parametrize("name", ["x.rds", "x.RDS", "x.RData"])
def test_files_of_r_go_to_r(name, tmp_path, monkeypatch):
    (tmp_path / name).write_text("")
    monkeypatch.setenv("PATH", "/nowhere")
    with (
        pytest.raises(errors.DependencyError, match="Rscript"),
        opened_input(request(tmp_path / name)),
    ):
        pass
