import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from artifact_data import make_adata, make_study
from cellferry.artifacts.inputs import Inputs, open_inputs
from cellferry.errors import (
    CoordinatesWarning,
    GroupMissingError,
    InputError,
    InvalidObjectError,
    UnsupportedObjectError,
)


def opened(data, group_key="leiden", coordinates_key="X_umap"):
    return open_inputs(
        data,
        group_key=group_key,
        coordinates_key=coordinates_key,
        rank_key="rank_genes_groups",
    )


def dense(source):
    return np.vstack([block.toarray() for _, block in source])


def test_an_anndata_and_its_file_give_the_same(tmp_path):
    adata = make_adata()
    adata.raw = adata[:, ::-1].copy()
    adata.write_h5ad(tmp_path / "a.h5ad")
    with opened(adata) as here, opened(tmp_path / "a.h5ad") as there:
        assert here.study.clusters.names == there.study.clusters.names
        assert here.study.cells == there.study.cells
        pd.testing.assert_frame_equal(here.study.obs, there.study.obs)
        assert [c.name for c in here.candidates] == ['layers["counts"]', "raw.X", "X"]
        for one, other in zip(here.candidates, there.candidates, strict=True):
            np.testing.assert_array_equal(dense(one.source), dense(other.source))
        # raw has its genes in another order and is brought into that of X.
        np.testing.assert_array_equal(dense(here.candidates[1].source), adata.X.toarray())
        assert not there.study.normalized.in_memory
        assert here.candidates[2].source is here.study.normalized


def test_a_raw_that_lacks_genes_is_no_place_for_counts():
    adata = make_adata(counts=False)
    adata.raw = adata[:, 2:].copy()
    with opened(adata) as inputs:
        problems = [c.problem for c in inputs.candidates]
    assert problems == [
        "there is no such layer", '2 genes are not in raw: "GENE0", "GENE1"', "",
    ]  # fmt: skip


def test_duplicated_genes_do_not_confuse_raw():
    adata = make_adata(n_genes=3, counts=False)
    adata.var_names = ["A", "A", "B"]
    adata.raw = adata.copy()
    with opened(adata) as inputs:
        np.testing.assert_array_equal(dense(inputs.candidates[1].source), adata.X.toarray())
    other = adata[:, [2, 0, 1]].copy()
    other.raw = adata
    with opened(other) as inputs:
        assert inputs.candidates[1].problem == "its gene names are not unique"


def test_embeddings_are_looked_for_and_what_is_taken_is_told():
    adata = make_adata()
    del adata.obsm["X_umap"]
    with pytest.warns(CoordinatesWarning, match='no embedding "X_umap"'), opened(adata) as inputs:
        assert inputs.study.coordinates is None
    adata.obsm["X_pca"] = np.zeros((30, 5))
    with pytest.warns(CoordinatesWarning, match='"X_pca" is used'), opened(adata) as inputs:
        assert inputs.study.coordinates[0] == "X_pca"


@pytest.mark.parametrize(
    ("group_key", "words"),
    [(None, "must name the column"), ("leidn", 'no column "leidn"')],
)
def test_a_missing_group_is_named(group_key, words):
    with pytest.raises(GroupMissingError, match=words), opened(make_adata(), group_key):
        pass


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UnsupportedObjectError, match="type DataFrame"), opened(pd.DataFrame()):
        pass
    with pytest.raises(InputError, match="There is no file"), opened(tmp_path / "no.h5ad"):
        pass
    adata = make_adata()
    adata.X = None
    with pytest.raises(InvalidObjectError, match="no X"), opened(adata):
        pass
    import h5py

    with h5py.File(tmp_path / "bad.h5ad", "w") as file:
        file["X"] = np.ones((2, 2))
    with pytest.raises(InputError, match='an HDF5 file, with "X"'), opened(tmp_path / "bad.h5ad"):
        pass


def test_a_study_and_inputs_themselves_are_taken():
    study = make_study(sparse.csr_matrix(np.eye(3)), ["a", "a", "b"])
    with opened(study, None) as inputs:
        assert isinstance(inputs, Inputs)
        assert list(inputs.var.index) == ["g0", "g1", "g2"]
        with opened(inputs) as again:
            assert again is inputs
    with pytest.raises(GroupMissingError, match='clusters "group", not "leiden"'), opened(study):
        pass
    with pytest.raises(InvalidObjectError, match="3 cells"):
        make_study(np.eye(3), ["a", "b", "c"]).with_parts(obs=pd.DataFrame({"x": [1]}))


def test_the_gene_metadata_of_a_study_is_taken_under_the_names_of_its_genes():
    var = pd.DataFrame({"biotype": ["x", "y", "z"]})
    study = make_study(np.eye(3), ["a", "a", "b"]).with_parts(var=var)
    with opened(study, None) as inputs:
        assert list(inputs.var.index) == ["g0", "g1", "g2"]
        assert list(inputs.var["biotype"]) == ["x", "y", "z"]
