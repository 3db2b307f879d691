"""The addresses over real HTTP: what each answers, and hostile use of each."""

import os

import pytest

from server_engine import PLUG
from server_files import GENES, N_CELLS, write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, code, put_chunk, submission, submit, upload


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("routes") / "data"
    with ServerProcess(data, "--chunk-size", "2000", "--max-body", "1M") as found:
        yield found


@pytest.fixture(scope="module")
def job(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    files = {
        "vars_h5": upload(server, "vars_h5", write_vars_h5(folder / "v").read_bytes()),
        "obs_duckdb": upload(server, "obs_duckdb", write_obs_duckdb(folder / "o").read_bytes()),
    }
    identifier = submit(server, uploaded_files=files)
    server.wait_for(identifier)
    return identifier


@pytest.mark.slow
def test_a_job_from_upload_to_results(server, job):
    found = server.client.get(f"/results/{job}").json()
    latest = found["annotations"]["0"]["latest"]["annotation"]
    assert latest["annotation"] == "B cell"
    evidence = latest["fullOutput"]["cellType"]["expressionEvidence"]
    assert evidence["source"] == "vars.h5"
    assert {"gene", "percent", "percentElsewhere", "mean", "meanElsewhere"} == set(
        evidence["genes"][0]
    )


def test_an_upload_in_the_words_of_the_protocol(server, tmp_path):
    content = write_vars_h5(tmp_path / "v").read_bytes()
    begun = server.client.post(
        "/upload/vars_h5/initiate", json={"file_size_bytes": len(content)}
    ).json()
    assert begun["chunk_size_bytes"] == 2000
    assert begun["max_size_bytes"] == 50 * 1024**3
    identifier = begun["upload_id"]
    assert put_chunk(server, identifier, 1, content[2000:4000]).json()["chunk"] == 1
    state = server.client.get(f"/upload/{identifier}").json()
    assert (state["state"], state["received_chunks"]) == ("open", [1])
    missing = server.client.post(f"/upload/{identifier}/complete")
    assert (missing.status_code, code(missing)) == (409, "UPLOAD_INCOMPLETE")
    for i in range(-(-len(content) // 2000)):
        put_chunk(server, identifier, i, content[2000 * i : 2000 * i + 2000])
    # Python sends no body, R an empty list, others an object; twice is once.
    for body in (None, [], {}, {"parts": []}):
        done = server.client.post(f"/upload/{identifier}/complete", json=body)
        assert done.json() == {
            "upload_id": identifier,
            "file_kind": "vars_h5",
            "file_name": "vars.h5",
            "size_bytes": len(content),
            "expires_at": done.json()["expires_at"],
        }
    assert done.json()["expires_at"].endswith("Z")


def test_initiate_without_a_body_as_old_clients_do(server):
    for options in ({}, {"json": {}}, {"json": []}, {"json": {"file_size_bytes": None}}):
        assert server.client.post("/upload/obs_duckdb/initiate", **options).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"file_size_bytes": -1}, 422),
        ({"file_size_bytes": "1"}, 422),
        ({"file_size_bytes": True}, 422),
        ({"file_size_bytes": 1.5}, 422),
        ({"file_size_bytes": 10**12}, 413),
        ("text", 422),
    ],
)
def test_initiate_refuses(server, body, status):
    answer = server.client.post("/upload/vars_h5/initiate", json=body)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/upload/../../etc/passwd/chunk/0",
        "/upload/%2e%2e%2f%2e%2e%2fetc%2fpasswd/chunk/0",
        "/upload/..%2f..%2fjobs/chunk/0",
        "/upload/%00/chunk/0",
    ],
)
def test_paths_in_ids_lead_nowhere(server, path):
    answer = server.client.put(path, content=b"x")
    assert answer.status_code == 404
    for base in ("status", "results", "report", "upload"):
        assert server.client.get(f"/{base}/..%2f..%2fserver.sqlite").status_code == 404
        assert server.client.get(f"/{base}/{'x' * 5000}").status_code == 404


@pytest.mark.parametrize("idx", ["1", "-1", "x", "1e3", "99999999999999999999", "0x0", "%30a"])
def test_positions_that_do_not_exist(server, idx):
    begun = server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": 10}).json()
    answer = put_chunk(server, begun["upload_id"], idx, b"0123456789")
    assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("kind", ["vars_h5", "obs_duckdb"])
def test_files_that_are_something_else_are_refused_and_gone(server, kind):
    for content in (b"", b"GIF89a" * 2000, os.urandom(9000)):
        answer = upload(server, kind, content)
        assert (answer.status_code, code(answer)) == (422, "INVALID_ARTIFACT")
        identifier = str(answer.request.url).split("/")[-2]
        assert server.client.get(f"/upload/{identifier}").status_code == 404
        assert not (server.data / "uploads" / identifier).exists()


def test_a_job_refuses_files_that_are_not_there(server):
    for value in ("8c5b2d3e-0000-4000-8000-000000000000", "..", 5):
        answer = server.client.post("/annotate", json=submission(uploaded_files={"vars_h5": value}))
        assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")


def test_bodies_that_are_too_large_or_no_json(server):
    json = {"Content-Type": "application/json"}
    answer = server.client.post("/annotate", content=b" " * 2_000_000, headers=json)
    assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")
    answer = server.client.post("/annotate", content=b"[" * 500_000, headers=json)
    assert (answer.status_code, code(answer)) == (400, "BAD_REQUEST")


def test_language_models_that_point_inside_are_refused(server):
    config = {"provider": "openai", "name": "m", "apiKey": "k"}
    for url in ("http://127.0.0.1:22", "http://169.254.169.254", "http://[::1]:11434/v1"):
        body = submission(llm_configs=[{**config, "baseUrl": url}])
        answer = server.client.post("/annotate", json=body)
        assert (answer.status_code, code(answer)) == (422, "LLM_VALIDATION_FAILED")


def test_results_before_they_are_there(server):
    many = {str(i): [f"GENE{j}" for j in range(50)] for i in range(500)}
    job = submit(server, many)
    answer = server.client.get(f"/results/{job}")
    if server.client.get(f"/status/{job}").json()["jobStatus"] in {"pending", "processing"}:
        assert (answer.status_code, code(answer)) == (409, "JOB_NOT_COMPLETED")
        assert "refresh" in server.client.get(f"/report/{job}").text


def test_unknown_addresses_and_methods_have_the_house_body(server):
    assert code(server.client.get("/")) == "NOT_FOUND"
    answer = server.client.delete("/annotate")
    assert (answer.status_code, code(answer)) == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["allow"]


def test_the_same_idempotency_key_is_the_same_job(server):
    headers = {"Idempotency-Key": "run-1"}
    first = submit(server, headers=headers)
    assert submit(server, headers=headers) == first
    answer = server.client.post("/annotate", json=submission(studyInfo="other"), headers=headers)
    assert (answer.status_code, code(answer)) == (409, "JOB_CONFLICT")
    answer = server.client.post(
        "/annotate", json=submission(), headers={"Idempotency-Key": "x" * 201}
    )
    assert answer.status_code == 422


def test_credentials_for_a_job_that_wants_none(server, job):
    body = {"llm_configs": [{"provider": "openai", "name": "m", "apiKey": "k"}]}
    answer = server.client.post(f"/jobs/{job}/credentials", json=body)
    assert (answer.status_code, code(answer)) == (409, "JOB_CONFLICT")
    assert server.client.post(f"/jobs/{job}/credentials", json=[]).status_code == 422


def test_a_gene_over_the_embedding(server, job):
    found = server.client.get(f"/data/{job}/expression?gene={GENES[0]}&max_cells=10").json()
    assert found["n_cells"] == N_CELLS
    assert len(found["values"]) == len(found["x"]) == 10
    for query, status in (
        ("gene=nope", 404),
        ("", 422),
        ("gene=CD3D&max_cells=0", 422),
        ("gene=CD3D&max_cells=x", 422),
    ):
        assert server.client.get(f"/data/{job}/expression?{query}").status_code == status


def test_counts_by_filter(server, job):
    filters = [{"column": "leiden", "op": "eq", "value": "cluster 1"}]
    body = {"filters": filters, "group_by": "donor"}
    found = server.client.post(f"/data/{job}/counts", json=body).json()
    assert (found["total"], found["count"]) == (N_CELLS, 30)
    for wrong in (
        {"filters": [{"column": "leiden; DROP TABLE obs", "op": "eq", "value": 1}]},
        {"filters": "leiden = 1"},
        {"sql": "SELECT 1"},
    ):
        answer = server.client.post(f"/data/{job}/counts", json=wrong)
        assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")


def test_data_of_a_job_without_files(server):
    job = submit(server)
    for answer in (
        server.client.get(f"/data/{job}/expression?gene=CD3D"),
        server.client.post(f"/data/{job}/counts", json={}),
    ):
        assert (answer.status_code, code(answer)) == (422, "NO_EXPRESSION")


@pytest.mark.slow
def test_a_full_disk_and_a_full_queue_are_said_over_http(tmp_path):
    with ServerProcess(tmp_path / "full", "--keep-free", "900T") as server:
        for answer in (
            server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": 1}),
            server.client.post("/annotate", json=submission()),
        ):
            assert (answer.status_code, code(answer)) == (507, "INSUFFICIENT_STORAGE")
    slow = {"SLOW_MODEL_SECONDS": "5"}
    options = ("--max-waiting", "1", "--jobs", "1")
    with ServerProcess(tmp_path / "busy", *options, plug=PLUG, environment=slow) as server:
        config = {"provider": "openai", "name": "m", "apiKey": "k"}
        submit(server, llm_configs=[config])
        answer = server.client.post("/annotate", json=submission())
        assert (answer.status_code, code(answer)) == (503, "SERVER_BUSY")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.slow
def test_a_data_folder_may_be_given_relative_to_where_the_server_starts(tmp_path, monkeypatch):
    """The helpers that read uploads run elsewhere, and must find them."""
    monkeypatch.chdir(tmp_path)
    with ServerProcess("jobs") as server:
        files = {
            "vars_h5": upload(server, "vars_h5", write_vars_h5(tmp_path / "v").read_bytes()),
            "obs_duckdb": upload(
                server, "obs_duckdb", write_obs_duckdb(tmp_path / "o").read_bytes()
            ),
        }
        job = submit(server, uploaded_files=files)
        server.wait_for(job)
        found = server.client.get(f"/results/{job}").json()
        assert found["summary"]["notes"] == []
        cell_type = found["annotations"]["0"]["latest"]["annotation"]["fullOutput"]["cellType"]
        assert cell_type["expressionEvidence"]["source"] == "vars.h5"
        assert server.client.get(f"/data/{job}/expression?gene=CD3D").is_success
