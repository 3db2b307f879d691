import threading
import time

import numpy as np
import pytest
from scipy import sparse

from artifact_data import counts_matrix
from cellferry.bridge import sources as streamed
from cellferry.bridge.sources import QueueSource
from cellferry.errors import InvalidObjectError
from cellferry.runs.worker import CancelledWork
from cellferry.study.expression.blocks import canonical


def send(source, matrix, step=3):
    for start in range(0, matrix.shape[0], step):
        part = sparse.csr_matrix(matrix[start : start + step].astype(np.float64))
        source.append(start, part.indptr, part.indices, part.data)


def source_of(matrix, **options):
    return QueueSource(matrix.shape[0], [f"g{i}" for i in range(matrix.shape[1])], **options)


def test_what_one_thread_sends_another_reads_in_order(monkeypatch):
    monkeypatch.setattr(streamed, "DRAIN_SECONDS", 0.01)
    truth = counts_matrix(200, 5)
    source = source_of(truth, most=10)
    sender = threading.Thread(target=send, args=(source, truth))
    sender.start()
    starts, blocks = zip(*[(s, canonical(rows)) for s, rows in source.blocks()], strict=True)
    sender.join()
    assert list(starts) == list(range(0, 200, 9))  # three blocks of three: a fourth exceeds 10
    assert all(block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.vstack([b.toarray() for b in blocks]), truth)


def test_blocks_hold_no_more_values_than_wanted(monkeypatch):
    monkeypatch.setattr(streamed, "BLOCK_VALUES", 12)
    truth = np.ones((9, 4), dtype=np.float64)
    source = source_of(truth, most=100, dtype=np.float64)
    source._queue.maxsize = 0
    send(source, truth, step=2)
    found = [(start, block.shape[0], block.dtype) for start, block in source]
    # 12 values are three cells, and two and two are four; the last one joins the fourth two.
    assert found == [(0, 2, "f8"), (2, 2, "f8"), (4, 2, "f8"), (6, 3, "f8")]


def test_the_sender_waits_for_the_reader():
    truth = np.ones((100, 2))
    source = source_of(truth, most=1)
    sender = threading.Thread(target=send, args=(source, truth, 1), daemon=True)
    sender.start()
    time.sleep(0.2)
    assert source.rows_received <= streamed.QUEUED_BLOCKS + 2
    assert sum(rows.concat().shape[0] for _, rows in source.blocks()) == 100
    sender.join(5)
    assert not sender.is_alive()


def test_without_a_reader_what_arrives_is_dropped():
    truth = np.ones((100, 2))
    source = source_of(truth, most=1, reading=lambda: False)
    send(source, truth, 1)
    assert source.rows_received == 100
    assert source._queue.empty()


def test_the_readers_error_reaches_the_sender():
    def failed():
        raise ValueError("the reader's reason")

    with pytest.raises(ValueError, match="the reader's reason"):
        send(source_of(np.ones((4, 2)), most=1, reading=failed), np.ones((4, 2)), 1)


def test_a_sender_that_stops_ends_the_reader(monkeypatch):
    monkeypatch.setattr(streamed, "DRAIN_SECONDS", 0.01)
    source = source_of(np.ones((4, 2)))
    source.close()
    with pytest.raises(CancelledWork):
        list(source.blocks())


def test_a_block_that_does_not_fit_is_refused():
    with pytest.raises(InvalidObjectError, match="does not fit"):
        source_of(np.ones((2, 1))).append(1, np.array([0, 0]), np.array([], int), np.array([]))
