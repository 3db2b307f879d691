import numpy as np
import pytest
from scipy import sparse

from artifact_data import counts_matrix, log_normalised, read_group
from cellferry import build_artifacts
from cellferry.bridge.sources import DiskBackedSource
from cellferry.errors import InvalidObjectError
from cellferry.study.study import Clusters, Study


def filled(matrix, folder, step=7, dtype=np.float32):
    genes = [f"g{i}" for i in range(matrix.shape[1])]
    source = DiskBackedSource(matrix.shape[0], genes, folder, dtype)
    for start in range(0, matrix.shape[0], step):
        part = sparse.csr_matrix(matrix[start : start + step].astype(np.float64))
        source.append(start, part.indptr, part.indices, part.data)
    return source


def test_blocks_come_back_again_and_again_and_no_file_is_seen(tmp_path):
    truth = counts_matrix(20, 5)
    source = filled(truth, tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(np.vstack([b.toarray() for _, b in source]), truth)
    assert [start for start, _ in source] == [0, 7, 14]
    assert source.rows_received == 20
    assert list(tmp_path.iterdir()) == []
    source.close()


def test_a_block_that_does_not_fit_is_refused(tmp_path):
    source = DiskBackedSource(2, ["g"], tmp_path)
    with pytest.raises(InvalidObjectError, match="does not fit"):
        source.append(1, np.array([0, 0]), np.array([], int), np.array([]))


def test_artifacts_are_built_from_it(tmp_path):
    counts = counts_matrix(30, 6).astype(np.float64)
    counts[3, 2] = 2**24 + 1  # a float32 would round it
    values = log_normalised(counts)
    study = Study(
        Clusters.from_labels(["a", "b", "c"] * 10), "group", tuple(map(str, range(30))),
        normalized=filled(values, tmp_path), counts=filled(counts, tmp_path, dtype=np.float64),
    )  # fmt: skip
    built = build_artifacts(
        study, vars_h5_path=tmp_path / "v.h5", obs_duckdb_path=tmp_path / "o.duckdb",
        progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(read_group(built.vars_h5, "vars"), values)
    np.testing.assert_array_equal(read_group(built.vars_h5, "raw"), counts)
