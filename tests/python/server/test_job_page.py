"""The page of a job with artifacts: its cells, any gene, decisions; read by the helper process."""

import base64

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from cellferry.annotations.report import policy
from review_pages import index_of, values_of
from server_files import GENES, N_CELLS, matrix, write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, code, submit, upload

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("page") / "data") as found:
        yield found


def job_of(server, folder, *kinds, **parts):
    written = {"vars_h5": write_vars_h5, "obs_duckdb": write_obs_duckdb}
    files = {k: upload(server, k, written[k](folder / k).read_bytes()) for k in kinds}
    job = submit(server, uploaded_files=files, **parts)
    server.wait_for(job)
    return job


@pytest.fixture(scope="module")
def job(server, tmp_path_factory):
    return job_of(server, tmp_path_factory.mktemp("files"), "vars_h5", "obs_duckdb")


def block(server, job, name):
    answer = server.client.get(f"/data/{job}/page/{name}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    return answer.content


def test_the_page_asks_the_server_for_its_data(server, job):
    answer = server.client.get(f"/report/{job}")
    expected = policy(live=True) + "; frame-ancestors 'none'"
    assert answer.headers["content-security-policy"] == expected
    index = index_of(answer.text)
    base = f"../data/{job}/page/"
    assert index["live"]["base"] == base
    assert index["live"]["decisions"] == f"{base}decisions"
    assert index["live"]["writable"] is True
    assert index["n_cells"] == N_CELLS
    assert [c["name"] for c in index["cells"]["columns"]] == ["leiden", "donor", "amount", "even"]
    assert index["cells"]["embeddings"] == [{"name": "X_umap", "spatial": False, "missing": 0}]
    assert index["genes"]["n"] == len(GENES)


def test_genes_columns_and_figures_are_those_of_the_files(server, job):
    index = index_of(server.client.get(f"/report/{job}").text)
    rows = np.frombuffer(block(server, job, "clusters"), "<u2")
    assert [index["rows"][r]["cluster"] for r in rows[:3]] == [f"cluster {i}" for i in range(3)]
    assert block(server, job, "genes").decode().split("\n") == GENES
    values = matrix().toarray()
    for gene in range(len(GENES)):
        read = values_of(block(server, job, f"gene/{gene}"))
        np.testing.assert_allclose(read, values[:, gene], atol=values[:, gene].max() / 500)
    content = np.frombuffer(block(server, job, "summary"), np.uint8).reshape(2, len(GENES), -1)
    for row in range(3):
        inside = values[rows == row]
        np.testing.assert_allclose(content[0, :, row] / 255, (inside > 0).mean(axis=0), atol=0.01)
        least, most = index["genes"]["least"], index["genes"]["most"]
        means = least * np.exp(np.log(most / least) / 254 * (content[1, :, row] - 1.0))
        np.testing.assert_allclose(means, np.expm1(inside).mean(axis=0), rtol=0.05)
    donors = np.frombuffer(block(server, job, "column/1"), "<u2")
    assert donors[:2].tolist() == [0, 1]
    assert donors[9] == 65535
    assert len(block(server, job, "coordinates/0")) == 4 * N_CELLS


def compared(server, job, a, b):
    return server.client.post(f"/data/{job}/page/compare", json={"a": a, "b": b})


def test_two_sets_of_cells_are_tested_gene_by_gene(server, job):
    live = index_of(server.client.get(f"/report/{job}").text)["live"]
    assert live["compare"] is True
    rows = np.frombuffer(block(server, job, "clusters"), "<u2")
    values = matrix().toarray()
    found = compared(server, job, {"rows": [0]}, {"rest": True}).json()
    assert (found["n_a"], found["n_b"]) == (int((rows == 0).sum()), int((rows != 0).sum()))
    assert "Wilcoxon" in found["note"]
    for one in found["genes"]:
        gene = values[:, GENES.index(one["gene"])]
        expected = mannwhitneyu(gene[rows == 0], gene[rows != 0], method="asymptotic")
        assert one["p"] == pytest.approx(expected.pvalue)
        assert one["p_adj"] == pytest.approx(min(1, one["p"] * len(GENES)))
        assert one["here"] == pytest.approx((gene[rows == 0] > 0).mean(), abs=0.001)
    bits = np.packbits((rows == 0).astype(np.uint8), bitorder="little")
    cells = {"cells": base64.b64encode(bits.tobytes()).decode()}
    assert compared(server, job, cells, {"rest": True}).json() == found


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"rest": True}, {"rows": [0]}), ({"rows": [9]}, {"rest": True}), ({}, {"rest": True}),
        ({"rows": [0]}, {"rows": [0]}), ({"cells": "BQ=="}, {"rest": True}),
        ({"rows": ["x"]}, {"rest": True}),
    ],
)  # fmt: skip
def test_sides_that_are_none_are_refused(server, job, a, b):
    answer = compared(server, job, a, b)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]["message"]


def test_the_runs_of_genes_make_one_table(tmp_path, monkeypatch):
    from cellferry.server.lookup import comparing

    files = {
        "obs_path": str(write_obs_duckdb(tmp_path / "obs.duckdb")),
        "vars_path": str(write_vars_h5(tmp_path / "vars.h5")),
        "column": "leiden", "labels": [f"cluster {i}" for i in range(3)],
        "asked": {"a": {"rows": [1]}, "b": {"rows": [2]}},
    }  # fmt: skip
    whole = comparing.page_compare(**files, start=0)
    assert whole["stop"] == len(GENES)
    monkeypatch.setattr(comparing, "MOST_VALUES", 1)
    figures, start = {}, 0
    while start < len(GENES):
        part = comparing.page_compare(**files, start=start)
        assert part["stop"] > start
        start = part["stop"]
        for name, values in part["figures"].items():
            figures.setdefault(name, []).extend(values)
    order = np.argsort(figures["gene"])
    expected = np.argsort(whole["figures"]["gene"])
    for name in ("gene", "p", "lfc", "here", "elsewhere"):
        one = np.array(figures[name])[order]
        other = np.array(whole["figures"][name])[expected]
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    "name", ["gene/6", "gene/x", "column/9", "coordinates/1", "x", "feature/0"]
)
def test_there_is_no_other_block(server, job, name):
    assert server.client.get(f"/data/{job}/page/{name}").status_code == 404


def test_a_decision_on_the_page_is_one_about_the_job(server, job):
    wish = {"cluster": "cluster 1", "decision": "relabelled", "label": "Plasma cell"}
    address = f"/data/{job}/page/decisions"
    answer = server.client.post(address, json={"decisions": [wish]})
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["decisions"]
    assert (one["cluster"], one["label"], one["state"]) == ("cluster 1", "Plasma cell", "in force")
    assert server.client.get(address).json() == answer.json()
    (kept,) = server.client.get(f"/jobs/{job}/decisions").json()["decisions"]
    assert (kept["cluster"], kept["id"]) == ("1", one["id"])
    index = index_of(server.client.get(f"/report/{job}").text)
    assert index["rows"][1]["label"] == "Plasma cell"
    answer = server.client.post(address, json={"decisions": [{**wish, "cluster": "x"}]})
    assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")


def test_a_job_without_artifacts_has_the_page_of_a_file(server, tmp_path):
    job = submit(server)
    server.wait_for(job)
    answer = server.client.get(f"/report/{job}")
    expected = policy() + "; frame-ancestors 'none'"
    assert answer.headers["content-security-policy"] == expected
    assert index_of(answer.text)["live"] is None
    answer = server.client.get(f"/data/{job}/page/genes")
    assert (answer.status_code, code(answer)) == (422, "NO_EXPRESSION")


def test_metadata_without_expression(server, tmp_path):
    job = job_of(server, tmp_path, "obs_duckdb")
    index = index_of(server.client.get(f"/report/{job}").text)
    assert index["genes"] is None
    assert index["n_cells"] == N_CELLS
    assert server.client.get(f"/data/{job}/page/gene/0").status_code == 404


def test_files_of_different_cells_cost_the_map_and_not_the_report(server, tmp_path):
    files = {
        "vars_h5": upload(
            server, "vars_h5", write_vars_h5(tmp_path / "v", matrix(n_cells=60)).read_bytes()
        ),
        "obs_duckdb": upload(server, "obs_duckdb", write_obs_duckdb(tmp_path / "o").read_bytes()),
    }
    job = submit(server, uploaded_files=files)
    server.wait_for(job)
    answer = server.client.get(f"/report/{job}")
    assert answer.status_code == 200
    assert index_of(answer.text)["live"] is None


def test_with_a_token_only_who_has_it_decides(tmp_path):
    with ServerProcess(tmp_path / "data", "--token", "secret") as server:
        own = {"Authorization": "Bearer secret"}
        server.client.headers.update(own)
        job = job_of(server, tmp_path, "vars_h5", "obs_duckdb")
        wish = {"decisions": [{"cluster": "cluster 1", "decision": "accepted"}]}
        del server.client.headers["Authorization"]
        address = f"/data/{job}/page/decisions"
        assert server.client.post(address, json=wish).status_code == 401
        assert server.client.get(f"/data/{job}/page/genes").status_code == 401
        cookie = {"Cookie": "cellferry_token=secret"}
        assert server.client.post(address, json=wish, headers=cookie).status_code == 200
        page = server.client.get(f"/report/{job}", headers=cookie)
        assert index_of(page.text)["live"]["writable"] is True
        answer = server.client.post(
            address, json=wish, headers={**cookie, "Origin": "http://x.example"}
        )
        assert answer.status_code == 403
