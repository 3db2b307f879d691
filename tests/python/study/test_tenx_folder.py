"""A 10x folder is read by pieces of text, and gives the blocks of what SciPy reads whole."""

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import mmread, mmwrite
from scipy.sparse import csr_matrix, random

from cellferry.errors import InputError, OutputError
from cellferry.study.expression import blocks as cut
from cellferry.study.expression import on_disk
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.inputs import mtx
from cellferry.study.inputs.mtx import MatrixMarket
from cellferry.study.inputs.objects import opened_object, read_object

HEAD = "%%MatrixMarket matrix coordinate integer general\n%made by a test\n"


def folder_of(path, text, n_genes, n_cells, *, packed=False, kinds=None):
    """Write the three files; ``text`` is that of the matrix."""
    path.mkdir(exist_ok=True)
    kinds = kinds or ["Gene Expression"] * n_genes
    rows = "".join(f"ENSG{i}\tG{i}\t{kind}\n" for i, kind in enumerate(kinds))
    for name, content in {
        "matrix.mtx": text,
        "features.tsv": rows,
        "barcodes.tsv": "".join(f"c{i}-1\n" for i in range(n_cells)),
    }.items():
        if packed:
            (path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        else:
            (path / name).write_text(content, encoding="utf-8")
    return path


def text_of(entries, n_genes, n_cells, head=HEAD):
    lines = "".join(f"{' '.join(map(str, entry))}\n" for entry in entries)
    return f"{head}{n_genes} {n_cells} {len(entries)}\n{lines}"


def same(found, expected):
    """Whether two matrices are equal to the bit, in canonical form."""
    for one in (found, expected):
        assert one.has_canonical_format
    return (
        found.shape == expected.shape
        and found.dtype == expected.dtype
        and all(
            np.array_equal(getattr(found, name), getattr(expected, name))
            for name in ("data", "indices", "indptr")
        )
    )


def whole(path):
    made = csr_matrix(mmread(path)).T.tocsr()
    made.sum_duplicates()
    return made


@settings(max_examples=80)
@given(data=st.data())
def test_blocks_are_those_of_the_whole_matrix(tmp_path_factory, data):
    n_genes, n_cells = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 12))
    place = st.tuples(
        st.integers(1, n_genes),
        st.integers(1, n_cells),
        st.integers(0, 9) | st.just(2**40),
    )
    entries = data.draw(st.lists(place, max_size=40))
    numbers = data.draw(st.sampled_from(["integer", "real", "pattern"]))
    order = data.draw(st.sampled_from(["cells", "genes", "none"]))
    if order != "none":
        entries.sort(key=lambda e: (e[1], e[0]) if order == "cells" else (e[0], e[1]))
    if numbers == "pattern":
        entries = [entry[:2] for entry in entries]
    if numbers == "real":
        entries = [(*entry[:2], entry[2] / 8) for entry in entries]
    text = text_of(entries, n_genes, n_cells, HEAD.replace("integer", numbers))
    if data.draw(st.booleans()):
        text = text.replace("\n", "\n\n").replace("\n\n%", "\n%")
    path = folder_of(
        tmp_path_factory.mktemp("tenx") / "x", text, n_genes, n_cells,
        packed=data.draw(st.booleans()),
    )  # fmt: skip
    plain = text_of(entries, n_genes, n_cells, HEAD.replace("integer", numbers))
    expected = whole(io.BytesIO(plain.encode()))
    most = data.draw(st.integers(1, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mtx, "TEXT", data.draw(st.integers(1, 60)))
        patch.setattr(on_disk, "BLOCK_VALUES", data.draw(st.integers(1, 20)))
        patch.setattr(on_disk, "IN_MEMORY", data.draw(st.sampled_from([0, 1000])))
        with opened_object(path) as opened:
            source = MatrixSource(opened.X, list(opened.var.index))
            assert source.shape == expected.shape
            assert not source.in_memory
            rows = 0
            for start, block in source.blocks(most):
                assert start == rows
                assert 1 <= block.shape[0] <= most
                rows += block.shape[0]
                assert same(block, expected[start:rows])
            assert rows == n_cells
            assert sorted(source.sample_values(10**6)) == sorted(opened.X[:].data)
            assert list(opened.obs.index) == [f"c{i}-1" for i in range(n_cells)]
        assert same(read_object(path).X, expected)


@pytest.mark.parametrize("order", ["cells", "genes"])
def test_memory_is_bounded_whatever_the_order(tmp_path, monkeypatch, order):
    counts = random(500, 3000, 0.1, "csc" if order == "cells" else "csr", np.int64, 1,
                    data_rvs=lambda n: np.arange(1, n + 1))  # fmt: skip
    mmwrite(tmp_path / "m.mtx", counts)
    entries = counts.tocoo()
    text = text_of(
        list(zip(entries.row + 1, entries.col + 1, entries.data, strict=True)), 500, 3000
    )
    path = folder_of(tmp_path / "x", text, 500, 3000)
    monkeypatch.setattr(mtx, "TEXT", 1 << 16)
    monkeypatch.setattr(on_disk, "BLOCK_VALUES", 10_000)
    monkeypatch.setattr(on_disk, "IN_MEMORY", 0)
    largest = []
    read = on_disk._Numbers.__getitem__

    def noted(self, wanted):
        found = read(self, wanted)
        largest.append(len(found))
        return found

    monkeypatch.setattr(on_disk._Numbers, "__getitem__", noted)
    with opened_object(path) as opened:
        blocks = [block for _, block in MatrixSource(opened.X, list(opened.var.index)).blocks(999)]
    assert max(largest) <= 10_000
    assert sum(block.nnz for block in blocks) == counts.nnz
    assert len(blocks) > 15


def test_antibodies_are_left_out_of_the_blocks(tmp_path):
    kinds = ["Gene Expression", "Antibody Capture", "Gene Expression"]
    text = text_of([(1, 1, 4), (2, 1, 900), (3, 2, 5)], 3, 2)
    path = folder_of(tmp_path / "x", text, 3, 2, kinds=kinds)
    with opened_object(path) as opened:
        assert list(opened.var.index) == ["G0", "G2"]
        assert opened.X[:].toarray().tolist() == [[4, 0], [0, 5]]


def test_a_dense_or_symmetric_file_is_read_whole(tmp_path):
    array = "%%MatrixMarket matrix array integer general\n2 2\n1\n0\n3\n4\n"
    symmetric = text_of([(1, 1, 5), (2, 1, 7)], 2, 2, HEAD.replace("general", "symmetric"))
    for name, text in (("a", array), ("s", symmetric)):
        path = folder_of(tmp_path / name, text, 2, 2)
        expected = whole(path / "matrix.mtx")
        with opened_object(path) as opened:
            assert (opened.X[:] != expected).nnz == 0


DAMAGED = {
    "it ends early": (lambda t: t[: t.rindex("3 2 5")], 'says that it has 3 values, and has 2.'),
    "a line is cut": (lambda t: t[:-3], 'Line 6 of ".*" is no value of a matrix of 3 features'),
    "it has more": (lambda t: t + "1 2 7\n", "says that it has 3 values, and has more."),
    "a gene too many": (lambda t: t.replace("3 2 5", "4 2 5"), "3 features and 2 cells: \"4 2 5\""),
    "a cell too many": (lambda t: t.replace("3 2 5", "3 3 5"), 'Line 6 of'),
    "from zero": (lambda t: t.replace("3 2 5", "0 2 5"), 'Line 6 of'),
    "no number": (lambda t: t.replace("3 2 5", "3 2 x"), 'Line 6 of ".*" is no value.*: "3 2 x"'),
    "no whole number": (lambda t: t.replace("3 2 5", "3 2 5.5"), 'Line 6 of'),
    "a field too many": (lambda t: t.replace("3 2 5", "3 2 5 1"), 'Line 6 of'),
    "far too many said": (lambda t: t.replace("3 2 3\n", "3 2 999999999999\n"), "and has fewer"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_matrix_is_an_error_with_its_line(tmp_path, damage, packed):
    change, said = DAMAGED[damage]
    text = change(text_of([(1, 1, 4), (2, 1, 9), (3, 2, 5)], 3, 2))
    if packed and damage == "far too many said":
        said = "|".join([said, "has 3", "cannot be kept"])
    path = folder_of(tmp_path / "x", text, 3, 2, packed=packed)
    with opened_object(path) as opened, pytest.raises((InputError, OutputError), match=said):
        opened.X[0:1]
    with pytest.raises((InputError, OutputError), match=said):
        read_object(path)


def test_a_packed_matrix_that_is_cut_off_is_an_error(tmp_path):
    generator = np.random.default_rng(0)
    entries = [(int(i), 1, int(n)) for i, n in enumerate(generator.integers(1, 99, 5000), 1)]
    path = folder_of(tmp_path / "x", text_of(entries, 5000, 1), 5000, 1, packed=True)
    file = path / "matrix.mtx.gz"
    file.write_bytes(file.read_bytes()[:-1000])
    with opened_object(path) as opened, pytest.raises(InputError, match="cut off or damaged"):
        opened.X[0:1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 1 1\n1 1 1\n", "does not begin as a matrix in Matrix Market format"),
        (HEAD, 'does not say its size: line 3 is ""'),
        (f"{HEAD}3 two 3\n", 'does not say its size: line 3 is "3 two 3"'),
    ],
)
def test_a_file_without_a_header_is_refused_when_it_is_opened(tmp_path, text, said):
    path = folder_of(tmp_path / "x", text, 3, 2)
    with pytest.raises(InputError, match=said), opened_object(path):
        pass


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path, monkeypatch):
    path = folder_of(tmp_path / "x", text_of([(1, 1, 4)], 3, 2), 3, 2)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(on_disk, "check_room", full)
    monkeypatch.setattr(on_disk, "IN_MEMORY", 0)
    with opened_object(path) as opened, pytest.raises(OutputError, match="cannot be kept") as said:
        opened.X[0:1]
    assert "TMPDIR" in said.value.hint


def test_values_are_read_when_they_are_asked_for_and_once(tmp_path, monkeypatch):
    path = folder_of(tmp_path / "x", text_of([(1, 1, 4), (2, 2, 1)], 3, 2), 3, 2)
    read = []
    triples = mtx.triples
    monkeypatch.setattr(mtx, "triples", lambda file: read.append(file) or triples(file))
    matrix = MatrixMarket(path / "matrix.mtx")
    assert not read
    assert matrix[0:1].toarray().tolist() == [[4, 0, 0]]
    assert matrix[1:2].toarray().tolist() == [[0, 1, 0]]
    assert cut.BLOCK_VALUES > 0
    assert len(read) == 1
