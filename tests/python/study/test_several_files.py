"""Several files as one object: to the bit what the objects give when they are joined in memory."""

import shutil
import warnings
from contextlib import ExitStack

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix, csr_matrix

from cellferry.errors import (
    GenesLeftOutWarning,
    InputError,
    NormalisationWarning,
    UnsupportedObjectError,
)
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.inputs.joining import joined_names, merged_levels
from cellferry.study.inputs.several import Files, opened_place, place_of, read_place

FORMS = {"csr": csr_matrix, "csc": csc_matrix, "dense": np.asarray}


def part(rng, genes, n_cells, *, form="csr", start=0, dtype=np.float32, kind="log"):
    """Return an object of random values; ``start`` is the number of its first cell."""
    counts = rng.poisson(0.8, (n_cells, len(genes))).astype(dtype)
    values = {"log": np.log1p(counts * 1.5), "counts": counts, "linear": counts * 33.25}[kind]
    made = anndata.AnnData(FORMS[form](values.astype(dtype)))
    made.layers["counts"] = FORMS[form](counts)
    made.var_names = list(genes)
    made.obs_names = [f"c{i}" for i in range(start, start + n_cells)]
    made.obs["leiden"] = pd.Categorical(rng.choice(["a", "b"], n_cells))
    made.obs["n"] = rng.integers(0, 9, n_cells)
    made.obsm["X_umap"] = rng.normal(size=(n_cells, 2)).astype(np.float32)
    return made


def written(adata, path, kind="h5ad"):
    if kind == "zarr":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata.write_zarr(path)
    else:
        adata.write_h5ad(path)
    return path


def opened(*paths):
    return opened_place(Files(tuple(paths)))


def equal(found, expected):
    found.sum_duplicates()
    expected = csr_matrix(expected)
    expected.sum_duplicates()
    return found.dtype == expected.dtype and all(
        np.array_equal(getattr(found, name), getattr(expected, name))
        for name in ("data", "indices", "indptr")
    )


@pytest.mark.slow
@settings(max_examples=15)
@given(data=st.data())
def test_the_files_are_the_joined_object_to_the_bit(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("several")
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    every = [f"G{i}" for i in range(8)]
    n_parts = data.draw(st.integers(2, 4))
    parts, paths, start = [], [], 0
    for number in range(n_parts):
        names = data.draw(st.permutations(every))[: data.draw(st.integers(5, 8))]
        made = part(
            rng, names, data.draw(st.integers(1, 9)), start=start,
            form=data.draw(st.sampled_from(list(FORMS))),
            dtype=data.draw(st.sampled_from([np.float32, np.float64])),
        )  # fmt: skip
        kind = data.draw(st.sampled_from(["h5ad", "zarr"]))
        start += made.n_obs
        parts.append(made)
        paths.append(written(made, folder / f"{number}.{kind}", kind))
    genes = [g for g in parts[0].var_names if all(g in p.var_names for p in parts)]
    if not genes:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        joined = anndata.concat([p[:, genes] for p in parts], join="inner", merge="same")
        with opened(*paths) as found:
            assert list(found.var.index) == genes
            assert list(found.obs.index) == list(joined.obs_names)
            for matrix, expected in (
                (found.X, joined.X), (found.layers["counts"], joined.layers["counts"]),
            ):  # fmt: skip
                assert equal(matrix[:], expected)
                most = data.draw(st.integers(1, 7))
                source = MatrixSource(matrix, genes)
                assert not source.in_memory
                rows = 0
                for begin, block in source.blocks(most):
                    assert begin == rows
                    assert block.has_canonical_format
                    rows += block.shape[0]
                    assert equal(block, csr_matrix(expected)[begin:rows])
                assert rows == joined.n_obs
                a, b = sorted(data.draw(st.tuples(*2 * [st.integers(0, rows)])))
                between = [block for _, block in source.rows_between(a, b)]
                assert sum(block.shape[0] for block in between) == b - a
            assert found.obs["leiden"].tolist() == joined.obs["leiden"].tolist()
            assert found.obs["n"].tolist() == joined.obs["n"].tolist()
            np.testing.assert_array_equal(found.obsm["X_umap"], joined.obsm["X_umap"])
        whole = read_place(Files(tuple(paths)))
        assert equal(whole.X, joined.X)


def test_genes_that_a_file_lacks_are_left_out_and_said(tmp_path):
    rng = np.random.default_rng(0)
    a = written(part(rng, ["CD3D", "CD3E", "LYZ"], 3), tmp_path / "a.h5ad")
    b = written(part(rng, ["LYZ", "CD3D", "MS4A1"], 3, start=3), tmp_path / "b.h5ad")
    with (
        pytest.warns(GenesLeftOutWarning, match="2 genes of 4 are not in all 2 files") as said,
        opened(a, b) as found,
    ):
        assert list(found.var.index) == ["CD3D", "LYZ"]
    assert f'"{a}" lacks 1, "{b}" lacks 1' in str(said[0].message)
    assert "not zero" in said[0].message.hint


def test_half_precision_is_read_as_single(tmp_path):
    rng, paths = np.random.default_rng(0), []
    parts = [part(rng, ["A", "B"], 5, form="dense", start=5 * i, dtype=np.float16) for i in (0, 1)]
    for i, made in enumerate(parts):
        paths.append(written(made, tmp_path / f"{i}.h5ad"))
    with opened(*paths) as found:
        expected = np.vstack([made.X for made in parts]).astype(np.float32)
        assert equal(found.X[:], csr_matrix(expected))


def test_names_in_two_files_get_the_number_of_their_file(tmp_path, caplog):
    rng = np.random.default_rng(0)
    a = written(part(rng, ["CD3D", "LYZ"], 2), tmp_path / "a.h5ad")
    b = written(part(rng, ["CD3D", "LYZ"], 2, start=1), tmp_path / "b.h5ad")
    with caplog.at_level("INFO", "cellferry"), opened(a, b) as found:
        assert list(found.obs.index) == ["c0_1", "c1_1", "c1_2", "c2_2"]
    assert 'each has the number of its file: "c0_1"' in caplog.text
    assert "2 files are read as one object: 4 cells, 2 genes that all of them have." in caplog.text


@given(parts=st.lists(st.lists(st.sampled_from("abc_1"), unique=True), min_size=1, max_size=4))
def test_joined_names_are_unique_and_changed_only_where_needed(parts):
    names, changed = joined_names(parts)
    assert len(set(names)) == len(names) == sum(map(len, parts))
    plain = [name for part in parts for name in part]
    assert changed == (len(set(plain)) < len(plain))
    if not changed:
        assert names == plain


@given(parts=st.lists(st.lists(st.sampled_from("012abc"), unique=True), min_size=1, max_size=4))
def test_merged_levels_have_all_and_keep_an_order_that_all_agree_with(parts):
    found = merged_levels(parts)
    assert sorted(found) == sorted(set().union(*parts))
    longest = max(parts, key=len)
    if all([level for level in longest if level in part] == part for part in parts):
        assert found == longest


def test_columns_are_those_that_all_have(tmp_path, caplog):
    rng = np.random.default_rng(0)
    first, other = part(rng, ["CD3D", "LYZ"], 4), part(rng, ["CD3D", "LYZ"], 3, start=4)
    first.obs["donor"], other.obs["age"] = "d1", 7
    first.obs["leiden"] = pd.Categorical(["0", "10", "0", None])
    other.obs["leiden"] = pd.Categorical(["2", "0", "2"])
    first.obs["mixed"], other.obs["mixed"] = ["3", "x", "3", "1"], [3, 1, 3]
    first.obs["stage"] = pd.Categorical(["low", "high", "low", "high"], ["low", "high"])
    other.obs["stage"] = pd.Categorical(["mid", "low", "high"], ["low", "mid", "high"])
    a, b = written(first, tmp_path / "a.h5ad"), written(other, tmp_path / "b.h5ad")
    with caplog.at_level("INFO", "cellferry"), opened(a, b) as found:
        assert set(found.obs.columns) == {"leiden", "n", "mixed", "stage"}
        assert list(found.obs["leiden"].cat.categories) == ["0", "2", "10"]
        assert found.obs["leiden"].isna().sum() == 1
        assert list(found.obs["stage"].cat.categories) == ["low", "mid", "high"]
        assert found.obs["mixed"].tolist() == ["3", "x", "3", "1", "3", "1", "3"]
        assert found.obs["n"].dtype.kind == "i"
    assert 'Columns that not all files have are left out: "donor", "age".' in caplog.text


def test_raw_counts_are_read_where_that_is_all_that_is_alike(tmp_path, caplog):
    rng = np.random.default_rng(0)
    first = part(rng, ["CD3D", "LYZ"], 9)
    other = part(rng, ["CD3D", "LYZ"], 9, start=9, kind="counts")
    counts = [first.layers["counts"].toarray(), other.X.toarray()]
    del other.layers["counts"]
    a, b = written(first, tmp_path / "a.h5ad"), written(other, tmp_path / "b.h5ad")
    with caplog.at_level("INFO", "cellferry"), opened(a, b) as found:
        assert found.X[:].toarray().tolist() == np.concatenate(counts).tolist()
        assert found.raw is None
        assert not found.layers
    assert f'layers["counts"] of "{a}", X of "{b}"' in caplog.text


def test_what_is_not_alike_is_not_read(tmp_path):
    rng = np.random.default_rng(0)
    a = written(part(rng, ["CD3D", "LYZ"], 9), tmp_path / "a.h5ad")
    b = written(part(rng, ["CD3D", "LYZ"], 9, start=9, kind="counts"), tmp_path / "b.h5ad")
    said = f'X is log-normalised in "{a}", raw counts in "{b}"'
    with ExitStack() as stack:
        with pytest.warns(NormalisationWarning, match="different kinds") as warned:
            one = stack.enter_context(opened(a, b))
        assert one.X is None
        assert list(one.layers) == ["counts"]
    assert said in str(warned[0].message)


@pytest.mark.parametrize("kind", ["linear", "counts"])
def test_different_kinds_of_values_are_refused(tmp_path, kind):
    rng = np.random.default_rng(0)
    first = part(rng, ["CD3D", "LYZ"], 9)
    other = part(rng, ["CD3D", "LYZ"], 9, start=9, kind=kind)
    del first.layers["counts"], other.layers["counts"]
    a, b = written(first, tmp_path / "a.h5ad"), written(other, tmp_path / "b.h5ad")
    with pytest.raises(InputError, match="different kinds of values: X is log") as refused, (
        opened(a, b)
    ):  # fmt: skip
        pass
    assert f'in "{b}"' in refused.value.message
    assert 'layers["counts"]' in refused.value.hint


HUMAN = ["CD3D", "CD3E", "MS4A1", "LYZ", "NKG7", "CD79A", "GNLY", "CD14", "FCGR3A", "IL7R"]
MOUSE = ["Cd3d", "Cd3e", "Ms4a1", "Lyz2", "Nkg7", "Cd79a", "Gzma", "Cd14", "Fcgr3", "Il7r"]


@pytest.mark.filterwarnings("ignore")
def test_files_that_do_not_go_together_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    a = written(part(rng, HUMAN, 3), tmp_path / "a.h5ad")
    mouse = written(part(rng, [*MOUSE, "CD3D"], 3, start=3), tmp_path / "m.h5ad")
    other = written(part(rng, ["X1", "X2"], 3, start=3), tmp_path / "o.h5ad")
    twice = part(rng, ["CD3D", "LYZ"], 3, start=3)
    twice.var_names = ["CD3D", "CD3D"]
    written(twice, tmp_path / "t.h5ad")
    table = tmp_path / "x.csv"
    table.write_text("gene\nCD3D\n")
    copy = tmp_path / "copy.h5ad"
    shutil.copy(a, copy)
    cases = {
        "are of different species: the genes are those of .*a.h5ad. of human and": (a, mouse),
        'no gene in common: .*a.h5ad" has "CD3D", "CD3E", "MS4A1"; .* has "X1", "X2"': (a, other),
        'X of ".*t.h5ad" has some twice: "CD3D"': (a, tmp_path / "t.h5ad"),
        "is given twice": (a, tmp_path / "." / "a.h5ad"),
        "are copies of one file": (a, copy),
        'There is no file ".*none.h5ad"': (a, tmp_path / "none.h5ad"),
        "is not an object with cells": (a, table),
    }
    for said, paths in cases.items():
        with pytest.raises(InputError, match=said), opened(*paths):
            pass


def test_an_rds_among_them_is_refused_with_what_to_do(tmp_path):
    a = written(part(np.random.default_rng(0), HUMAN, 3), tmp_path / "a.h5ad")
    rds = tmp_path / "x.rds"
    rds.write_bytes(b"X\n\x00\x00\x00\x03")
    with pytest.raises(UnsupportedObjectError, match="not read as one of several") as refused, (
        opened(a, rds)
    ):  # fmt: skip
        pass
    assert ".h5ad" in refused.value.hint


def test_folders_that_are_copies_are_known(tmp_path):
    a = part(np.random.default_rng(0), HUMAN, 3)
    written(a, tmp_path / "a.zarr", "zarr")
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    with pytest.raises(InputError, match="copies of one"), (
        opened(tmp_path / "a.zarr", tmp_path / "b.zarr")
    ):  # fmt: skip
        pass


def test_places(tmp_path):
    assert place_of([tmp_path]) == tmp_path
    assert str(place_of(("a", "b"))) == '"a", "b"'
    assert place_of(["a", 3]) is None
    assert place_of(part(np.random.default_rng(0), HUMAN, 3)) is None


def test_raw_is_joined_by_its_own_genes(tmp_path):
    rng = np.random.default_rng(0)
    paths, whole = [], []
    for number in range(2):
        full = part(rng, HUMAN, 5, start=5 * number)
        del full.layers["counts"]
        few = full[:, HUMAN[:3] if number else HUMAN[3:7]].copy()
        few.raw = full
        few.X = few.X.toarray() - 1
        whole.append(full)
        paths.append(written(few, tmp_path / f"{number}.h5ad"))
    with opened(*paths) as found:
        assert found.X is None
        assert list(found.raw.var.index) == HUMAN
        assert equal(found.raw.X[:], anndata.concat(whole).X)
