"""Parts and the whole of a path: what the files give is what the objects give."""

import anndata
import pandas as pd
import pytest

import cellferry
from cell_data import cells
from cellferry import errors
from r_session import needs_rscript
from rds_files import PBMC, r_script

LISTS = {"0": ["CD79A", "MS4A1", "CD79B"], "1": ["CD3D", "CD3E", "CD2"], "2": ["CD14", "LYZ"]}


def annotated(adata, key):
    lists = {name: LISTS[name] for name in adata.obs["leiden"].cat.categories}
    cellferry.annotate_clusters(
        adata, lists, group_key="leiden", key=key, species="human", progress=False
    )
    return adata


@pytest.fixture
def whole():
    return annotated(cells(30), "cell_type")


@pytest.fixture
def part(whole):
    made = annotated(whole[whole.obs["leiden"] == "1"].copy(), "subtype")
    cellferry.set_labels(made, {"1": "NK cell"}, by="AB", key="subtype")
    return made


@pytest.mark.parametrize("as_list", [True, False])
def test_files_give_what_objects_give(whole, part, tmp_path, as_list):
    whole.write_h5ad(tmp_path / "whole.h5ad")
    part.write_h5ad(tmp_path / "T.h5ad")
    before = (tmp_path / "whole.h5ad").read_bytes()
    given = [str(tmp_path / "T.h5ad")] if as_list else {"T": tmp_path / "T.h5ad"}
    out = tmp_path / "merged.h5ad"
    found = cellferry.merge_annotations(tmp_path / "whole.h5ad", given, output=out)
    expected = cellferry.merge_annotations(whole, {"T": part})
    assert found == expected
    merged = anndata.read_h5ad(out)
    pd.testing.assert_frame_equal(merged.obs, whole.obs, check_categorical=False)
    assert dict(merged.uns["cellferry"]) == dict(whole.uns["cellferry"])
    assert (tmp_path / "whole.h5ad").read_bytes() == before
    assert set(merged.obs.loc[part.obs_names, "cell_type"]) == {"NK cell"}


def test_without_output_nothing_is_written(whole, part, tmp_path):
    whole.write_h5ad(tmp_path / "whole.h5ad")
    found = cellferry.merge_annotations(str(tmp_path / "whole.h5ad"), part)
    assert found["part1:1"].label == "NK cell"
    assert [p.name for p in tmp_path.glob("*.*")] == ["whole.h5ad"]


def test_a_part_of_a_path_goes_into_an_object_and_two_of_one_name_are_told_apart(
    whole, part, tmp_path
):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    part[:4].copy().write_h5ad(tmp_path / "a" / "x.h5ad")
    part[4:].copy().write_h5ad(tmp_path / "b" / "x.h5ad")
    paths = [tmp_path / name / "x.h5ad" for name in ("a", "b")]
    found = cellferry.merge_annotations(whole, paths)
    assert [row.cluster for row in found][3:] == ["part1:1", "part2:1"]
    assert set(whole.obs.loc[part.obs_names, "cell_type"]) == {"NK cell"}


def test_what_cannot_be_is_refused_before_anything_is_read(whole, part, tmp_path):
    out = tmp_path / "merged.h5ad"
    with pytest.raises(errors.InvalidOptionError, match="in memory"):
        cellferry.merge_annotations(whole, part, output=out)
    whole.write_h5ad(tmp_path / "whole.h5ad")
    with pytest.raises(errors.InvalidOptionError, match=r"must end in \.h5ad"):
        cellferry.merge_annotations(tmp_path / "whole.h5ad", part, output=tmp_path / "x.rds")
    out.write_bytes(b"mine")
    with pytest.raises(errors.OutputError, match="not replaced"):
        cellferry.merge_annotations(tmp_path / "whole.h5ad", part, output=out)
    cellferry.merge_annotations(tmp_path / "whole.h5ad", part, output=out, overwrite=True)
    assert set(anndata.read_h5ad(out).obs.loc[part.obs_names, "cell_type"]) == {"NK cell"}
    with pytest.raises(errors.InputError, match="There is no file"):
        cellferry.merge_annotations(whole, tmp_path / "none.h5ad")
    with pytest.raises(errors.UnsupportedObjectError, match="this is a int"):
        cellferry.merge_annotations(whole, [1])


@needs_rscript
def test_a_part_may_be_an_rds_and_the_whole_is_told_to_be_r_s(tmp_path):
    r_script(f"{PBMC} saveRDS(x, '{tmp_path}/x.rds'); saveRDS(x[, 1:20], '{tmp_path}/T.rds')")
    r = cellferry.annotate_clusters(
        tmp_path / "T.rds", key="subtype", output=tmp_path / "done.rds", progress=False
    )
    names = r_script(f"cat(colnames(readRDS('{tmp_path}/x.rds')), sep = '|')").split("|")
    whole = anndata.AnnData(obs=pd.DataFrame(index=names))
    found = cellferry.merge_annotations(whole, {"T": tmp_path / "done.rds"})
    assert {row.cluster for row in found} == {f"T:{row.cluster}" for row in r}
    assert whole.obs["subtype"].notna().sum() == 20
    with pytest.raises(errors.UnsupportedObjectError, match="put into it by R"):
        cellferry.merge_annotations(tmp_path / "x.rds", {"T": tmp_path / "done.rds"})
