"""vars.h5 of clients: both flavours read gene by gene, hostile files refused."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from cellferry.server.failures import Code, Failure
from cellferry.server.lookup.vars_h5 import inspect, opened
from server_files import GENES, N_CELLS, matrix, write_vars_h5


@pytest.mark.parametrize("flavour", ["python", "r"])
def test_every_gene_has_exactly_its_values(tmp_path, flavour):
    values = matrix()
    file = opened(str(write_vars_h5(tmp_path / "v.h5", values, flavour=flavour)))
    assert (file.n_cells, file.n_genes) == (N_CELLS, len(GENES))
    for i, gene in enumerate(GENES):
        cells, found = file.column(file.position(gene))
        dense = np.zeros(N_CELLS, dtype=np.float32)
        dense[cells] = found
        np.testing.assert_array_equal(dense, values[:, [i]].toarray().ravel())


def test_genes_are_found_by_symbol_and_by_identifier(tmp_path):
    file = opened(str(write_vars_h5(tmp_path / "v.h5")))
    assert file.position("CD3D") == file.position("ENSG00000000002") == 2
    with pytest.raises(Failure) as caught:
        file.position("cd3d")
    assert caught.value.code is Code.NOT_FOUND


def test_a_changed_file_is_read_again(tmp_path):
    path = write_vars_h5(tmp_path / "v.h5")
    assert inspect(str(path))["n_genes"] == len(GENES)
    write_vars_h5(tmp_path / "new.h5", matrix(n_genes=2), genes=GENES[:2]).replace(path)
    assert inspect(str(path))["n_genes"] == 2


def change(tmp_path, function):
    path = write_vars_h5(tmp_path / "v.h5")
    with h5py.File(path, "r+") as file:
        function(file)
    with pytest.raises(Failure) as caught:
        inspect(str(path))
    assert caught.value.code is Code.INVALID_ARTIFACT
    return caught.value.message


def replaced(name, **arguments):
    def function(file):
        del file[name]
        file.create_dataset(name, **arguments)

    return function


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "links"),
        (lambda f: f.__setitem__("x", h5py.SoftLink("/vars")), "links"),
        (lambda f: f.__setitem__("vars/loop", f["vars"]), "go round"),
        (
            lambda f: f.create_dataset("x", (9,), "u1", external=[("/etc/passwd", 0, 9)]),
            "other files",
        ),
        (replaced("vars/data", shape=(10**12,), dtype="f4", chunks=(1000,)), "declares"),
        (replaced("vars/data", shape=(10,), dtype="f4", chunks=(10,)), "are stored"),
        (
            lambda f: f.create_dataset(
                "x", shape=(10,), maxshape=(None,), dtype="f8", chunks=(10**9,)
            ),
            "chunks of",
        ),
        (replaced("vars/indptr", data=np.array([0, 5, 2, 3, 4, 5, 6])), "pointers"),
        (replaced("vars/indptr", data=np.array([0, 1])), "for 6 rows"),
        (replaced("vars/indptr", data=np.zeros((2, 2))), "one-dimensional"),
        (lambda f: f["vars"].attrs.__setitem__("n_obs", -1), "n_obs"),
        (lambda f: f["vars"].attrs.__setitem__("n_obs", "many"), "n_obs"),
        (lambda f: f["vars"].attrs.__setitem__("n_obs", np.zeros(10)), "n_obs"),
        (lambda f: f["vars"].attrs.__delitem__("n_vars"), "n_vars"),
        (lambda f: f.__delitem__("vars"), "no vars.h5"),
        (lambda f: f.create_group("a/b/c/d/e/f/g/h"), "deeply"),
        (lambda f: f.__setitem__("x", np.dtype("i4")), "objects"),
        (lambda f: f.create_dataset("x", data=np.zeros(2, [("a", "i4")])), "type"),
        (lambda f: f.create_dataset("x", data=f["vars"].ref, dtype=h5py.ref_dtype), "type"),
        (lambda f: f.create_dataset("x", data=np.zeros(99), **hdf5plugin.Zfp()), "filter"),
    ],
)
def test_hostile_files_are_refused(tmp_path, function, message):
    assert message in change(tmp_path, function)


def test_virtual_datasets_are_refused(tmp_path):
    layout = h5py.VirtualLayout((5,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (5,))
    assert "other files" in change(tmp_path, lambda f: f.create_virtual_dataset("x", layout))


def test_cells_that_do_not_exist_are_noticed_when_read(tmp_path):
    path = write_vars_h5(tmp_path / "v.h5")
    with h5py.File(path, "r+") as file:
        file["vars/indices"][0] = N_CELLS
    with pytest.raises(Failure, match="outside of"):
        opened(str(path)).column(0)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"no HDF5 at all" * 100])
def test_other_bytes_are_refused(tmp_path, content):
    (tmp_path / "v.h5").write_bytes(content)
    with pytest.raises((Failure, OSError)):
        inspect(str(tmp_path / "v.h5"))
