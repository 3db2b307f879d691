import inspect

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix, vstack

from atlas_server import AtlasServer, label_of
from cell_data import GENES, cells
from cellferry.compat import cellatlas
from cellferry.engines.service.client import Service
from cellferry.errors import (
    CredentialsRequiredError,
    ServiceCredentialsError,
    ServiceError,
    ServiceFailedError,
)
from cellferry.runs.run import list_runs

ADATA = cells(20)
MATRIX = ADATA.layers["counts"]
EXPECTED = [label_of(GENES, row) for row in MATRIX.toarray()]


@pytest.fixture
def server(monkeypatch):
    with AtlasServer(token="sk-sci-your-api-key-here").running() as found:
        monkeypatch.setattr(cellatlas, "API_URL", found.url)
        monkeypatch.setattr(cellatlas, "API_KEY", "sk-sci-your-api-key-here")
        yield found


def test_signatures_are_those_of_the_tutorial():
    def defaults(function):
        found = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in found if p.kind is p.POSITIONAL_OR_KEYWORD}

    nothing = inspect.Parameter.empty
    assert defaults(cellatlas.sparse_to_payload) == {"X": nothing, "genes": nothing}
    assert defaults(cellatlas.annotate) == {
        "X": nothing, "genes": nothing, "model": "geneformer", "atlas": "human-core-2026",
    }  # fmt: skip
    assert defaults(cellatlas.annotate_adata) == {"adata": nothing, "model": "geneformer"}
    assert defaults(cellatlas.annotate_large) == {
        "X": nothing, "genes": nothing, "chunk_size": 50_000,
    }  # fmt: skip
    assert cellatlas.TIMEOUT == 300


@pytest.mark.parametrize("form", [csr_matrix, csc_matrix, lambda m: m.toarray()])
def test_the_payload_has_the_three_arrays_and_the_shape(form):
    made = cellatlas.sparse_to_payload(form(MATRIX), np.array(GENES))
    matrix = csr_matrix(MATRIX)
    assert made == {
        "genes": GENES,
        "matrix": {"indptr": matrix.indptr.tolist(), "indices": matrix.indices.tolist(),
                   "data": matrix.data.tolist(), "shape": [20, len(GENES)]},
    }  # fmt: skip
    assert all(type(v) is int for v in made["matrix"]["shape"])


def test_genes_must_match_the_columns():
    with pytest.raises(ValueError, match="3 gene names"):
        cellatlas.sparse_to_payload(MATRIX, GENES[:3])


def test_annotate_posts_with_the_key_and_returns_the_answer(server):
    found = cellatlas.annotate(MATRIX, GENES, model="scgpt", atlas="other")
    assert [c["label"] for c in found["calls"]] == EXPECTED
    assert found["unknown_key"] is True
    (request,) = server.requests
    assert request["headers"]["Authorization"] == "Bearer sk-sci-your-api-key-here"
    sent = request["body"]
    assert (sent.pop("model"), sent.pop("reference_atlas")) == ("scgpt", "other")
    assert sent == cellatlas.sparse_to_payload(MATRIX.astype(int), GENES)


def test_errors_are_raised(server, monkeypatch):
    monkeypatch.setattr(cellatlas, "API_KEY", "sk-sci-wrong")
    with pytest.raises(ServiceCredentialsError):
        cellatlas.annotate(MATRIX, GENES)


def test_annotate_adata_writes_the_columns_of_the_tutorial(server):
    adata = cells(20)
    adata.obs["cell_type"] = "old"
    back = cellatlas.annotate_adata(adata)
    assert back is adata
    best = [label_of(GENES, row) for row in adata.X.toarray()]
    assert adata.obs["cell_type"].tolist() == best
    assert adata.obs["cell_type_confidence"].tolist() == [0.75] * 20


@pytest.mark.parametrize("size", [1, 7, 20, 50_000])
def test_annotate_large_keeps_the_order_whatever_the_chunks(server, size):
    calls = cellatlas.annotate_large(MATRIX, GENES, chunk_size=size)
    assert [c["label"] for c in calls] == EXPECTED
    assert len(server.requests) == -(-20 // size)
    assert calls[0]["markers"]


def test_annotate_large_goes_on_where_it_stopped(server, monkeypatch):
    server.faults = dict.fromkeys(range(2, 99), 404)
    with pytest.raises(ServiceError) as caught:
        cellatlas.annotate_large(MATRIX, GENES, chunk_size=4)
    server.faults = {}
    before = len(server.requests)
    calls = cellatlas.annotate_large(MATRIX, GENES, chunk_size=4, resume=caught.value.data["run"])
    assert [c["label"] for c in calls] == EXPECTED
    assert len(server.requests) - before < 5
    assert len(list_runs()) == 1


def test_no_cells_are_no_calls(server):
    assert cellatlas.annotate(MATRIX[:0], GENES)["calls"] == []
    assert cellatlas.annotate_large(MATRIX[:0], GENES) == []


def test_too_many_cells_for_a_request_point_to_annotate_large(server):
    with pytest.raises(ValueError, match="annotate_large"):
        cellatlas.annotate(csr_matrix((100_001, 1)), ["CD3E"])
    assert vstack([MATRIX, MATRIX]).shape[0] == 40


def test_the_hosted_service_needs_a_key(monkeypatch):
    monkeypatch.delenv("CELLATLAS_API_KEY", raising=False)
    with pytest.raises(CredentialsRequiredError, match="API_KEY"):
        cellatlas.annotate(MATRIX, GENES)


def test_the_environment_may_name_the_service(monkeypatch):
    with AtlasServer().running() as found:
        monkeypatch.setenv("CELLATLAS_API_URL", found.url)
        assert len(cellatlas.annotate(MATRIX, GENES)["calls"]) == 20
    assert Service is not None
    assert ServiceFailedError.code == "service_failed"


@pytest.mark.parametrize("fault", ["nameless", "texts", "deeper"])
def test_the_functions_of_the_tutorial_take_what_the_engine_takes(server, fault):
    server.faults = {0: fault}
    adata = cellatlas.annotate_adata(ADATA.copy())
    assert adata.obs["cell_type"].tolist()[:-1] == EXPECTED[:-1]
    assert set(adata.obs["cell_type_confidence"]) == {0.75}
    assert len(server.requests) == 1
