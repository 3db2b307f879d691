import numpy as np
import pytest

from atlas_server import AtlasServer, label_of
from cell_data import GENES, cells
from cellferry.engines.cellatlas.payload import Encoder
from cellferry.engines.cellatlas.sending import Sender, names_hash
from cellferry.engines.service.client import Retries, Service
from cellferry.errors import (
    ServiceAnswerError,
    ServiceCredentialsError,
    ServiceFailedError,
    ServiceForbiddenError,
    ServiceTooLargeError,
)
from cellferry.runs.run import Run
from cellferry.runs.worker import Events
from cellferry.study.expression.matrix import MatrixSource

ADATA = cells(40)
MATRIX = ADATA.layers["counts"]
CELLS = tuple(ADATA.obs_names)
EXPECTED = [label_of(GENES, row) for row in MATRIX.toarray()]
QUICK = Retries(attempts=3, first=0.01, longest=0.05)


def chunks(cells_each=5, size=10**6):
    made = Encoder(GENES, model="m", reference_atlas="a", counts=True, chunk_bytes=size,
                   chunk_cells=cells_each)  # fmt: skip
    return made.chunks(MatrixSource(MATRIX, GENES))


def send(server, run=None, *, given=None, seconds=20, retries=QUICK, **options):
    run = run or Run.create("cellatlas")
    events = Events()
    with Service(server.url, events=events, read_seconds=seconds, retries=retries) as service:
        sender = Sender(service, run, events, **options)
        return sender.send(chunks() if given is None else given, CELLS), sender, run


def labels(answered):
    return [call["label"] for chunk in answered for call in chunk.answer()["calls"]]


FAULTS = [503, 429, (429, {"Retry-After": "0"}), "drop", "lose", "truncate", "garble", "short"]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("number", [0, 3, 7])
def test_a_fault_that_passes_costs_nothing(fault, number):
    server = AtlasServer()
    server.faults = {number: fault}
    with server.running():
        answered, sender, _ = send(server)
    assert labels(answered) == EXPECTED
    assert sender.sent == 8
    assert len(server.requests) == 9


def test_a_slow_answer_is_asked_for_again():
    server = AtlasServer()
    server.faults = {2: 1.5}
    with server.running():
        answered, _, _ = send(server, seconds=0.4)
    assert labels(answered) == EXPECTED


@pytest.mark.parametrize(("status", "error"), [
    (401, ServiceCredentialsError), (403, ServiceForbiddenError), (500, ServiceFailedError),
])  # fmt: skip
def test_a_fault_that_stays_is_one_error_and_what_is_done_is_kept(status, error):
    server = AtlasServer()
    server.faults = dict.fromkeys(range(3, 99), status)
    run = Run.create("cellatlas")
    with server.running():
        with pytest.raises(error):
            send(server, run, parallel=1)
        assert len(run.finished()) == 3
        server.faults = {}
        before = len(server.requests)
        answered, sender, _ = send(server, run)
    assert labels(answered) == EXPECTED
    assert sender.sent == 5
    assert len(server.requests) == before + 5


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_chunk_that_is_too_large_is_halved_and_the_next_ones_before_they_are_sent(parallel):
    server = AtlasServer(largest=max(len(h.body) for c in chunks() for h in c.halves()))
    with server.running():
        answered, sender, run = send(server, parallel=parallel)
    assert labels(answered) == EXPECTED
    assert np.concatenate([a.rows for a in answered]).tolist() == list(range(40))
    refused = [r for r in server.requests if r["size"] > server.largest]
    assert 1 <= len(refused) <= parallel
    assert sender.sent == len(server.requests) - len(refused) == len(run.finished()) > 8
    # What the service takes is part of the run, so that going on costs nothing.
    again, sender, _ = send(server, run)
    assert sender.sent == 0
    assert labels(again) == EXPECTED


def test_halves_that_were_answered_are_not_sent_again():
    server = AtlasServer(largest=len(next(chunks()).body) - 1)
    server.faults = dict.fromkeys(range(3, 99), 500)
    run = Run.create("cellatlas")
    with server.running():
        with pytest.raises(ServiceFailedError):
            send(server, run, parallel=1)
        known = len(run.finished())
        server.faults = {}
        before = len(server.requests)
        answered, sender, _ = send(server, run)
    assert known > 0
    assert labels(answered) == EXPECTED
    assert len(server.requests) == before + sender.sent
    assert sender.sent + known == len(answered)


def test_a_cell_that_is_too_large_by_itself_is_an_error():
    server = AtlasServer(largest=10)
    with server.running(), pytest.raises(ServiceTooLargeError):
        send(server)


def test_an_answer_that_stays_wrong_is_an_error():
    server = AtlasServer()
    server.faults = dict.fromkeys(range(99), "short")
    with server.running(), pytest.raises(ServiceAnswerError, match="4 calls for 5 cells"):
        send(server)


def test_a_finished_run_sends_nothing_and_a_damaged_file_is_fetched_again():
    server = AtlasServer()
    with server.running():
        answered, _, run = send(server)
        again, sender, _ = send(server, run)
        assert sender.sent == 0
        assert labels(again) == labels(answered)
        answered[2].file.write_bytes(b"damaged")
        answered[5].file.unlink()
        whole, sender, _ = send(server, run)
    assert sender.sent == 2
    assert labels(whole) == EXPECTED


def test_other_cells_or_another_address_are_not_taken_for_the_same():
    server, other = AtlasServer(), AtlasServer()
    with server.running(), other.running():
        _, _, run = send(server)
        assert send(other, run)[1].sent == 8
    assert names_hash(("a", "b"), np.array([0, 1])) != names_hash(("b", "a"), np.array([0, 1]))


def test_several_are_in_flight_and_no_more_than_asked():
    server = AtlasServer()
    server.faults = dict.fromkeys(range(8), 0.1)
    with server.running():
        send(server, parallel=3)
    assert server.most_at_once == 3


def test_gzip_is_sent_when_asked_for_and_given_up_when_refused():
    plain, packed, stubborn = AtlasServer(), AtlasServer(), AtlasServer(refuses_gzip=True)
    with plain.running(), packed.running(), stubborn.running():
        send(plain)
        answered = send(packed, compress=True)[0]
        refused = send(stubborn, compress=True, parallel=1)[0]
    assert labels(answered) == labels(refused) == EXPECTED
    assert all("Content-Encoding" not in r["headers"] for r in plain.requests)
    assert all(r["headers"]["Content-Encoding"] == "gzip" for r in packed.requests)
    assert sum(r["headers"].get("Content-Encoding") == "gzip" for r in stubborn.requests) == 1


def test_gzip_is_learnt_from_the_answer_of_a_service_elsewhere(monkeypatch):
    from cellferry.engines.cellatlas import sending

    monkeypatch.setattr(sending, "is_loopback", lambda _: False)
    server, silent = AtlasServer(takes_gzip=True), AtlasServer()
    with server.running(), silent.running():
        assert labels(send(server, parallel=1)[0]) == EXPECTED
        send(silent, parallel=1)
    packed = [r["headers"].get("Content-Encoding") == "gzip" for r in server.requests]
    assert packed == [False] + [True] * 7
    assert not any("Content-Encoding" in r["headers"] for r in silent.requests)
