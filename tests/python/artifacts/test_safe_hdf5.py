import struct

import h5py
import hdf5plugin
import numpy as np
import pytest

from cellferry.artifacts.vars_h5.safe import attribute, group_of, open_file, safe_dataset
from cellferry.errors import ArtifactFormatError


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as opened:
        yield opened


def refused(file, name, words, kinds="iufbOS"):
    with pytest.raises(ArtifactFormatError, match=words):
        safe_dataset(file, name, kinds)


def test_links_that_lead_elsewhere_are_not_followed(file, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as other:
        other["data"] = [1, 2, 3]
    file["external"] = h5py.ExternalLink(str(secret), "/data")
    file["there"] = [1, 2]
    file["soft"] = h5py.SoftLink("/there")
    file["group"] = h5py.ExternalLink(str(secret), "/")
    refused(file, "external", "link to another place")
    refused(file, "soft", "link to another place")
    with pytest.raises(ArtifactFormatError, match="link to another place"):
        group_of(file, "group")


def test_data_outside_of_the_file_are_not_read(file, tmp_path):
    (tmp_path / "passwd").write_bytes(b"root:x:0:0:____")
    file.create_dataset("out", (3,), "i4", external=[(str(tmp_path / "passwd"), 0, 12)])
    refused(file, "out", "stored outside")
    layout = h5py.VirtualLayout((2,), "i4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (2,))
    file.create_virtual_dataset("virtual", layout)
    refused(file, "virtual", "stored outside")


def test_sizes_that_cannot_be_are_not_believed(file):
    file.create_dataset("chunked", (2**50,), "i4", chunks=(1024,), **hdf5plugin.LZ4())
    file.create_dataset("contiguous", (2**40,), "i4")
    file.create_dataset("chunk", (2**29,), "i4", chunks=(2**29,), compression="gzip")
    for name in ("chunked", "contiguous", "chunk"):
        refused(file, name, "declares")


@pytest.mark.parametrize("filters", [hdf5plugin.LZ4(), hdf5plugin.Blosc(), {"compression": 9}])
def test_the_most_compressible_data_are_believed(file, filters):
    file.create_dataset("zeros", data=np.zeros(10**6, "i4"), chunks=(10**6,), **filters)
    assert safe_dataset(file, "zeros", "i")[:].sum() == 0


def test_other_kinds_filters_and_shapes_are_refused(file):
    file["matrix"] = np.ones((2, 2))
    file["compound"] = np.zeros(2, dtype=[("a", "i4")])
    file["text"] = ["a"]
    file["reference"] = np.array([file.ref], dtype=h5py.ref_dtype)
    file.create_dataset("zstd", data=np.ones(9), chunks=(9,), **hdf5plugin.Zstd())
    file.create_group("group")
    refused(file, "matrix", "one-dimensional")
    refused(file, "group", "one-dimensional")
    refused(file, "absent", "There is no")
    refused(file, "compound", "does not belong")
    refused(file, "reference", "does not belong")
    refused(file, "text", "does not belong", "iu")
    refused(file, "zstd", "filters")
    with pytest.raises(ArtifactFormatError, match="is no group"):
        group_of(file, "text")


def test_attributes_of_any_width_and_shape_are_read(file):
    file.attrs["a"], file.attrs["b"] = np.int32(5), np.array([7])
    file.attrs["c"], file.attrs["d"] = -1, "5"
    assert (attribute(file, "a"), attribute(file, "b")) == (5, 7)
    for name in ("c", "d", "absent"):
        with pytest.raises(ArtifactFormatError, match="no whole number"):
            attribute(file, name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "text").write_text("no")
    with pytest.raises(ArtifactFormatError, match="cannot be opened as HDF5"):
        open_file(tmp_path / "text")


def test_a_chunk_that_declares_too_much_is_an_error_not_a_crash(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        dataset = file.create_dataset("d", (4,), "i4", chunks=(4,), **hdf5plugin.LZ4())
        dataset.id.write_direct_chunk((0,), struct.pack(">QII", 1 << 40, 1 << 30, 4) + b"abcd")
    with open_file(tmp_path / "f.h5") as file, pytest.raises(OSError, match="read"):
        safe_dataset(file, "d")[:]
