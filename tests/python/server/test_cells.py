"""The Cell Atlas address of a real server: the engine and the drop-in functions against it."""

import anndata
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from cell_data import GENES, cells
from cellferry import annotate_cells
from cellferry.compat import cellatlas
from cellferry.compat.cellatlas import sparse_to_payload
from cellferry.engines.cellatlas import CellAtlas
from cellferry.errors import CellsDiagnosisWarning
from cellferry.runs.run import Run
from cellferry.server.http.cells import PATH
from cellferry.server.http.openapi import ref, schemas
from server_process import ServerProcess, code

ADATA = cells(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("cells") / "data"
    with ServerProcess(data, "--max-body", "1M") as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 60])
def test_the_service_gives_what_the_local_engine_gives_whatever_the_chunks(server, size):
    adata, other = ADATA.copy(), ADATA.copy()
    local = annotate_cells(adata, species="human", context=False, progress=False)
    engine = CellAtlas(api_url=server.url + PATH, chunk_size=size, qc="off")
    found = annotate_cells(other, engine=engine, progress=False)
    assert found.to_frame()["label"].tolist() == local.to_frame()["label"].tolist()
    assert found.supporting.values() == local.supporting.values()
    assert found.evidence["chunks"] == -(-60 // size)


def test_the_script_of_the_tutorial_runs_offline(server, monkeypatch):
    monkeypatch.setattr(cellatlas, "API_URL", server.url + PATH)
    adata = cellatlas.annotate_adata(ADATA.copy())
    assert adata.obs["cell_type"].nunique() >= 3
    calls = cellatlas.annotate_large(ADATA.layers["counts"], GENES, chunk_size=9)
    assert len(calls) == 60
    for call in calls[:5]:
        assert call["label"]
        assert 0 <= call["confidence"] <= 1
        assert set(call["markers"]) <= set(GENES)


def test_what_is_wrong_is_said_in_the_body_of_the_house(server):
    payload = sparse_to_payload(ADATA.layers["counts"], GENES)
    payload["matrix"]["indptr"][0] = 1
    reply = server.client.post(PATH, json=payload)
    assert (reply.status_code, code(reply)) == (422, "VALIDATION_ERROR")
    reply = server.client.post(PATH, content=b"x", headers={"Content-Type": "text/plain"})
    assert reply.status_code == 415
    assert "accept-encoding" not in reply.headers


def test_a_body_that_is_too_large_is_refused_and_the_engine_halves_it(server):
    engine = CellAtlas(api_url=server.url + PATH, qc="off")
    adata = anndata.AnnData(csr_matrix(np.full((4000, 80), 12345, dtype=np.float32)))
    adata.var_names = [f"GENE{i}" for i in range(80)]
    json = {"Content-Type": "application/json"}
    refused = server.client.post(PATH, content=b" " * 1_100_000, headers=json)
    assert refused.status_code == 413
    warned = pytest.warns(CellsDiagnosisWarning, match="low everywhere")
    with warned, pytest.warns(match="genes of the object are known"):
        found = annotate_cells(adata, engine=engine, progress=False)
    assert found.counts() == {"unknown": 4000}
    assert found.evidence["chunks"] == 4
    assert Run.open(found.provenance["run"]).content["largest_body"] > 1_000_000


def test_the_schemas_name_what_is_specified():
    found = schemas()
    assert set(found["Cells"]["properties"]) == {"genes", "matrix", "model", "reference_atlas"}
    assert found["Cells"]["properties"]["matrix"] == ref("Matrix")
    assert set(found["Matrix"]["properties"]) == {"indptr", "indices", "data", "shape"}
    assert found["Calls"]["properties"]["calls"]["items"] == ref("Call")
    assert set(found["Call"]["properties"]) == {"label", "confidence", "alternates", "markers"}
