"""What a file is is seen by its content, and what is no input is named with the line that mends."""

import bz2
import gzip
import json
import lzma
import zipfile

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import mmwrite

from cellferry.errors import CellferryError, GroupMissingError, InputError, UnsupportedObjectError
from cellferry.study.h5ad import open_h5ad, read_h5ad
from cellferry.study.inputs.kinds import file_error, file_kind
from cellferry.study.inputs.objects import check_has_clusters, opened_object, read_object
from cellferry.study.inputs.readers import reader_of_r
from speaking import speaking

GENES = ["CD3D", "CD3E", "LYZ"]


def adata():
    obs = pd.DataFrame({"leiden": pd.Categorical(["0", "0", "1", "1"])}, index=list("abcd"))
    made = anndata.AnnData(
        sparse.csr_matrix(np.arange(12, dtype="f4").reshape(4, 3) / 4),
        obs=obs, var=pd.DataFrame(index=GENES),
    )  # fmt: skip
    made.obsm["X_umap"] = np.arange(8.0).reshape(4, 2)
    return made


def groups(path, *names, attributes=None):
    with h5py.File(path, "w") as file:
        for name in names:
            file.create_group(name)
        for key, value in (attributes or {}).items():
            file.attrs[key] = value


def tenx(path, *, version=3):
    matrix = sparse.csr_matrix(np.array([[1, 0, 2], [0, 3, 0]]))
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"], group["barcodes"] = [3, 2], [b"A-1", b"B-1"]
        if version == 3:
            features = group.create_group("features")
            features["id"], features["name"] = [b"E1", b"E2", b"E3"], [b"CD3D", b"CD3D", b"CD4_AB"]
            kinds = [b"Gene Expression", b"Gene Expression", b"Antibody Capture"]
            features["feature_type"] = kinds
        else:
            group["genes"] = [b"E1", b"E2", b"E3"]
            group["gene_names"] = [b"CD3D", b"CD3E", b"LYZ"]


def tenx_folder(folder, *, prefix="", packed=True, features="features.tsv", columns=3):
    folder.mkdir()
    end, pack = (".gz", gzip.compress) if packed else ("", bytes)
    mmwrite(folder / "m.mtx", sparse.csr_matrix(np.array([[1, 0], [0, 3], [2, 0]])))
    (folder / f"{prefix}matrix.mtx{end}").write_bytes(pack((folder / "m.mtx").read_bytes()))
    (folder / "m.mtx").unlink()
    (folder / f"{prefix}barcodes.tsv{end}").write_bytes(pack(b"A-1\nB-1\n"))
    rows = [["E1", "CD3D", "Gene Expression"], ["E2", "CD3E", "Gene Expression"],
            ["E3", "LYZ", "Gene Expression"]]  # fmt: skip
    text = "".join("\t".join(row[:columns]) + "\n" for row in rows)
    (folder / f"{prefix}{features}{end}").write_bytes(pack(text.encode()))
    return folder


def zipped(path, **content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name.replace("__", "/"), text)


RDS = b"X\n\0\0\0\3\0\4\2\0"
MAKE = {
    "loom": lambda p: groups(p, "matrix", "row_attrs", "col_attrs", "layers"),
    "h5seurat": lambda p: groups(p, "assays", "cell.names", "meta.data"),
    "h5mu": lambda p: groups(p, "mod", "obs", "var", attributes={"encoding-type": "MuData"}),
    "hdf5": lambda p: groups(p, "something"),
    "h5ad": lambda p: adata().write_h5ad(p),
    "tenx_h5": tenx,
    "tenx_molecules": lambda p: groups(p, "barcode_idx", "feature_idx"),
    "rds": lambda p: p.write_bytes(gzip.compress(RDS)),
    "rdata": lambda p: p.write_bytes(gzip.compress(b"RDX3\nX\n")),
    "qs": lambda p: p.write_bytes(b"\x0b\x0e\x0a\x0c\0\0"),
    "xlsx": lambda p: zipped(p, xl__workbook="<workbook/>"),
    "zip": lambda p: zipped(p, data="x"),
    "html": lambda p: p.write_text(" <!DOCTYPE html><html></html>"),
    "lfs": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    "tar": lambda p: p.write_bytes(b"x" * 257 + b"ustar\0" + b"\0" * 100),
    "parquet": lambda p: p.write_bytes(b"PAR1\0"),
    "feather": lambda p: p.write_bytes(b"ARROW1\0\0"),
    "matrix_market": lambda p: p.write_text("%%MatrixMarket matrix coordinate integer general\n"),
    "utf16": lambda p: p.write_bytes("a,b\n".encode("utf-16")),
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("cluster,gene\n0,CD3D\n"),
}
LINES = {
    "loom": ("scanpy.read_loom(", "SeuratDisk::Connect(", "python -c '"),
    "h5seurat": ("SeuratDisk::LoadH5Seurat(", "LoadH5Seurat(", "Rscript -e '"),
    "h5mu": ('mdata["rna"]', 'mdata["rna"]', "python -c '"),
    "rdata": ("load(", "load(", "Rscript -e '"),
    "qs": ("qs::qread(", "qs::qread(", "Rscript -e '"),
    "tar": ("tar -xf", "tar -xf", "tar -xf"),
    "lfs": ("git lfs pull",) * 3,
}


@pytest.mark.parametrize("name", ["x", "markers.csv", "pbmc.h5ad", "pbmc.rds"])
@pytest.mark.parametrize("kind", MAKE)
def test_a_name_says_nothing(tmp_path, kind, name):
    MAKE[kind](tmp_path / name)
    found = file_kind(tmp_path / name)
    assert found.name == kind
    error = file_error(tmp_path / name, found, "a marker table")
    assert found.what in error.message
    assert error.hint
    for spoken, part in zip(("python", "r", "cli"), LINES.get(kind, ()), strict=False):
        with speaking(spoken):
            line = file_error(tmp_path / name, found, "a marker table").hint
        assert part in line
        assert "{" not in line


@pytest.mark.parametrize("pack", [gzip.compress, lambda b: gzip.compress(gzip.compress(b))])
@pytest.mark.parametrize("kind", ["h5ad", "loom", "hdf5"])
def test_what_is_gzipped_is_to_be_unpacked(tmp_path, kind, pack):
    MAKE[kind](tmp_path / "x")
    packed = tmp_path / f"pbmc.{kind}.gz"
    packed.write_bytes(pack((tmp_path / "x").read_bytes()))
    found = file_kind(packed)
    assert found.name == kind
    assert not found.is_anndata
    assert "gzipped" in found.what
    error = file_error(packed, found, "an object")
    with speaking("cli"):
        assert file_error(packed, found, "an object").hint.startswith("Unpack it: gunzip -c ")
    exec(error.hint.removeprefix("Unpack it: "), {})
    if pack is gzip.compress:
        assert file_kind(tmp_path / f"pbmc.{kind}").name == kind


def test_an_rds_may_be_compressed_in_each_way_of_r_but_not_twice(tmp_path):
    for i, pack in enumerate((bytes, gzip.compress, bz2.compress, lzma.compress)):
        (tmp_path / str(i)).write_bytes(pack(RDS))
        assert file_kind(tmp_path / str(i)).is_of_r
    (tmp_path / "x.rds.gz").write_bytes(gzip.compress(gzip.compress(RDS)))
    twice = file_kind(tmp_path / "x.rds.gz")
    assert (twice.name, twice.is_of_r) == ("rds", False)
    with speaking("cli"):
        assert "gunzip" in file_error(tmp_path / "x.rds.gz", twice, "an object").hint


def test_what_is_cut_off_says_so(tmp_path):
    adata().write_h5ad(tmp_path / "x.h5ad")
    content = (tmp_path / "x.h5ad").read_bytes()
    (tmp_path / "x.h5ad").write_bytes(content[: len(content) // 2])
    found = file_kind(tmp_path / "x.h5ad")
    assert found.name == "truncated"
    with pytest.raises(InputError, match="cut off"):
        read_object(tmp_path / "x.h5ad")
    (tmp_path / "x.zip").write_bytes(b"PK\3\4" + b"\0" * 30)
    assert file_kind(tmp_path / "x.zip").name == "truncated"


def test_a_missing_file_is_no_kind_of_file(tmp_path):
    with pytest.raises(InputError, match="There is no file") as caught:
        read_object(tmp_path / "none.h5ad")
    assert not isinstance(caught.value, UnsupportedObjectError)


def test_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "without anything" in file_kind(tmp_path / "empty").what
    tenx_folder(tmp_path / "tenx")
    assert file_kind(tmp_path / "tenx").is_anndata
    above = file_kind(tmp_path)
    assert above.name == "folder"
    assert '"tenx"' in above.what
    (tmp_path / "tenx" / "matrix.mtx.gz").unlink()
    part = file_kind(tmp_path / "tenx")
    assert "lacks matrix.mtx" in part.what
    assert "three files" in file_error(tmp_path / "tenx", part, "an object").hint
    (tmp_path / "spatial").mkdir()
    (tmp_path / "spatial" / "zarr.json").write_text(
        json.dumps({"attributes": {"spatialdata_attrs": {}}}), encoding="utf-8"
    )
    assert file_kind(tmp_path / "spatial").name == "spatialdata"


@pytest.mark.parametrize("prefix", ["", "GSM1_"])
@pytest.mark.parametrize(
    ("packed", "features", "columns"),
    [(True, "features.tsv", 3), (False, "features.tsv", 2), (False, "genes.tsv", 2)],
)
def test_a_10x_folder_is_read(tmp_path, prefix, packed, features, columns):
    folder = tenx_folder(
        tmp_path / "x", prefix=prefix, packed=packed, features=features, columns=columns
    )
    found = read_object(folder)
    assert list(found.obs_names) == ["A-1", "B-1"]
    assert list(found.var_names) == GENES
    assert found.X.toarray().tolist() == [[1, 0, 2], [0, 3, 0]]


def test_files_of_two_samples_do_not_fit_together(tmp_path):
    folder = tenx_folder(tmp_path / "x", packed=False)
    (folder / "barcodes.tsv").write_text("A-1\nB-1\nC-1\n", encoding="utf-8")
    with pytest.raises(InputError, match="do not fit together"):
        read_object(folder)
    (folder / "other_matrix.mtx").write_text("", encoding="utf-8")
    assert "has several samples" in file_kind(folder).what


@pytest.mark.parametrize("version", [2, 3])
def test_a_10x_h5_is_read_without_what_are_no_genes(tmp_path, version):
    tenx(tmp_path / "x.h5", version=version)
    found = read_object(tmp_path / "x.h5")
    assert list(found.var_names) == (["CD3D", "CD3D-1"] if version == 3 else GENES)
    assert found.X.toarray()[:, :2].tolist() == [[1, 0], [0, 3]]
    for spoken, line in (
        ("python", "annotate_cells("),
        ("r", "AnnotateCells("),
        ("cli", "--cells"),
    ):
        with speaking(spoken), pytest.raises(GroupMissingError, match="no clusters") as caught:
            check_has_clusters(found, tmp_path / "x.h5")
        assert line in caught.value.hint


@pytest.mark.parametrize("is_zipped", [False, True])
def test_an_anndata_in_zarr_is_read(tmp_path, is_zipped):
    pytest.importorskip("zarr")
    import shutil

    path = tmp_path / "x.zarr"
    adata().write_zarr(path)
    if is_zipped:
        path = shutil.make_archive(str(tmp_path / "y.zarr"), "zip", path)
    assert file_kind(path).is_anndata
    with opened_object(path) as found:
        assert list(found.obs["leiden"]) == ["0", "0", "1", "1"]


def old_h5ad(path):
    """Write what anndata 0.6 wrote: compound tables, categories in uns, raw beside X."""
    from anndata.io import write_elem

    obs = np.array([(b"a", 1, 2.5), (b"b", 0, 1.5), (b"c", 1, 0.5)],
                   dtype=[("index", "S5"), ("louvain", "i1"), ("n", "f4")])  # fmt: skip
    umap = np.zeros(3, dtype=[("X_umap", "f8", (2,)), ("X_pca", "f4", (3,))])
    with h5py.File(path, "w") as file:
        file["X"] = np.full((3, 2), -1.0)
        file["obs"] = obs
        file["var"] = np.array([(b"CD3D", True), (b"LYZ", False)],
                               dtype=[("index", "S9"), ("hv", "?")])  # fmt: skip
        file["obsm"] = umap
        file["uns/louvain_categories"] = np.array([b"B", b"T"])
        file["uns/rank_genes_groups/params/groupby"] = np.array([b"louvain"])
        names = np.array([(b"LYZ", b"CD3D")], dtype=[("B", "S9"), ("T", "S9")])
        file["uns/rank_genes_groups/names"] = names
        write_elem(file, "raw.X", sparse.csr_matrix(np.eye(3)))
        for key in list(file["raw.X"].attrs):
            del file["raw.X"].attrs[key]
        file["raw.X"].attrs["h5sparse_format"] = "csr"
        file["raw.X"].attrs["h5sparse_shape"] = [3, 3]
        file["raw.var"] = np.array([(b"CD3D",), (b"CD3E",), (b"LYZ",)], dtype=[("index", "S9")])


def unmarked_h5ad(path):
    """Write a table as a group without the marks of anndata, with categories beside it."""
    adata().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        obs = file["obs"]
        for key in list(obs):
            del obs[key]
        for key in list(obs.attrs):
            del obs.attrs[key]
        obs["_index"] = [b"a", b"b", b"c", b"d"]
        obs["leiden"] = np.array([0, 0, 1, 1], dtype="i1")
        obs["__categories/leiden"] = [b"0", b"1"]
        obs.attrs["_index"] = "_index"


def test_files_of_anndata_0_6_are_read(tmp_path):
    old_h5ad(tmp_path / "old.h5ad")
    with open_h5ad(tmp_path / "old.h5ad", ["rank_genes_groups"]) as found:
        assert list(found.obs["louvain"]) == ["T", "B", "T"]
        assert list(found.obs.index) == ["a", "b", "c"]
        assert list(found.raw.var.index) == GENES
        assert found.raw.X[0:2].toarray().tolist() == [[1, 0, 0], [0, 1, 0]]
        assert found.obsm["X_umap"].shape == (3, 2)
        ranking = found.uns["rank_genes_groups"]
        assert ranking["params"]["groupby"] == "louvain"
        assert ranking["names"]["T"].tolist() == ["CD3D"]
    whole = read_h5ad(tmp_path / "old.h5ad")
    assert list(whole.obs["louvain"]) == ["T", "B", "T"]
    assert list(whole.raw.var_names) == GENES


def test_tables_without_the_marks_of_anndata_are_read(tmp_path):
    unmarked_h5ad(tmp_path / "x.h5ad")
    with open_h5ad(tmp_path / "x.h5ad") as found:
        assert list(found.obs["leiden"]) == ["0", "0", "1", "1"]
    whole = read_h5ad(tmp_path / "x.h5ad")
    assert list(whole.obs["leiden"]) == ["0", "0", "1", "1"]
    assert list(whole.obs_names) == list("abcd")


def test_a_file_that_declares_more_than_it_has_is_an_input_error(tmp_path):
    adata().write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        del file["obs/_index"]
        file["obs"].create_dataset("_index", shape=(10**13,), dtype="i8", chunks=(1000,))
    for read in (read_h5ad, lambda p: open_h5ad(p).__enter__()):
        with pytest.raises(InputError, match=r"x\.h5ad"):
            read(tmp_path / "x.h5ad")


def test_an_rds_needs_the_package_itself():
    from cellferry.study.inputs import readers

    kept = dict(readers._readers)
    readers._readers.clear()
    try:
        with pytest.raises(UnsupportedObjectError, match="read by R"):
            reader_of_r("annotate", "x.rds")
    finally:
        readers.give_readers(kept)


def failure_of(read):
    """Return the error of ours that reading ends in; any other is a failure of the test."""
    try:
        read()
    except CellferryError as error:
        return error
    return None


HEADS = st.sampled_from(
    [b"", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0", b"BZh9",
     b"\xfd7zXZ\x00", b"X\n\0\0", b"RDX3\n", b"PAR1", b"%%MatrixMarket", b"a,b\n", b"\xff\xfe"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(HEADS, st.binary(max_size=400), st.sampled_from(["x.h5ad", "x.csv", "x.csv.gz", "x.rds"]))
def test_any_bytes_are_a_kind_and_never_a_traceback(tmp_path_factory, head, rest, name):
    path = tmp_path_factory.mktemp("kinds") / name
    path.write_bytes(head + rest)
    kind = file_kind(path)
    assert str(file_error(path, kind, "an object"))
    assert isinstance(failure_of(lambda: read_object(path)), InputError | None)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_h5ad_is_read_or_an_input_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "x.h5ad"
    old_h5ad(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    opening = opened_object(path, ["rank_genes_groups"])
    assert isinstance(failure_of(opening.__enter__), InputError | None)
