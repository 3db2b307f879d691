"""Marker export and embedding: here, asked of a server, and of one with paths of its own."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cell_data import cells
from cellferry import errors
from cellferry.cli import group
from cellferry.engines.cellatlas import CellAtlas
from cellferry.engines.local.cells.projection import DIMENSIONS, Projection
from cellferry.engines.service.client import Retries
from cellferry.runs.run import Run
from cellferry.server.http.cells import PATH
from r_session import needs_rscript
from server_process import ServerProcess

pytestmark = [pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("companions") / "data") as found:
        yield found


def labelled(n=60):
    adata = cells(n)
    adata.obs["cell_type"] = pd.Categorical(adata.obs["truth"])
    return adata


def test_markers_of_labels_are_those_of_find_markers():
    adata = labelled()
    found = cellferry.export_markers(adata, progress=False)
    wanted = cellferry.find_markers(
        adata, "cell_type", only_pos=True, logfc_threshold=0.25, min_pct=0.1, progress=False
    )
    pd.testing.assert_frame_equal(found.to_frame(), wanted.to_frame())
    assert {"CD79A", "MS4A1"} <= set(found.gene[found.cluster == found.clusters.index("B cell")])


def test_a_server_gives_the_markers_that_are_computed_here(server):
    adata = labelled()
    adata.obs.loc[adata.obs_names[:7], "cell_type"] = None
    here = cellferry.export_markers(adata, progress=False).to_frame()
    engine = CellAtlas(api_url=server.url + PATH, values="normalized", qc="off")
    there = cellferry.export_markers(adata, engine=engine, progress=False).to_frame()
    assert there["gene"].tolist() == here["gene"].tolist()
    assert there["cluster"].astype(str).tolist() == here["cluster"].astype(str).tolist()
    for name in ("p_val", "avg_log2FC", "pct.1", "pct.2", "p_val_adj"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-4)
    # They are a marker table like any other.
    annotated = cellferry.annotate_clusters(there, progress=False)
    assert annotated["B cell"].label == "B cell"


def test_without_labels_the_server_says_first_what_each_cell_is(server):
    payload = cellferry_payload(labelled(90))
    reply = server.client.post("/v1/singlecell/markers", json=payload).json()
    assert {"CD79A", "MS4A1"} <= {m["gene"] for m in reply["markers"] if m["label"] == "B cell"}
    payload["labels"] = ["a"] * 90
    refused = server.client.post("/v1/singlecell/markers", json=payload)
    assert refused.status_code == 422
    payload["labels"] = ["a"] * 89
    refused = server.client.post("/v1/singlecell/markers", json=payload)
    assert "89 entries for 90 cells" in refused.text


def cellferry_payload(adata):
    from cellferry.compat.cellatlas import sparse_to_payload

    return sparse_to_payload(adata.layers["counts"], adata.var_names)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_an_embedding_is_the_same_whatever_the_chunks(server, size):
    adata = labelled()
    engine = CellAtlas(api_url=server.url + PATH, chunk_size=size, values="normalized", qc="off")
    found = cellferry.embed_cells(adata, engine=engine, key="X_there", progress=False)
    here = cellferry.embed_cells(adata, progress=False)
    assert here.shape == (60, DIMENSIONS)
    np.testing.assert_array_equal(adata.obsm["X_cellferry"], here)
    np.testing.assert_allclose(adata.obsm["X_there"], here, atol=1e-6)
    assert found.dtype == np.float32
    assert adata.uns["X_there_embedding"]["api_url"] == server.url + PATH


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 29), st.permutations(range(15)), st.floats(0.1, 50))
def test_a_cell_is_embedded_by_itself(cell, order, depth):
    """Neither other cells, nor the order of genes, nor genes that are no markers change it."""
    adata = labelled(30)
    matrix = adata.layers["counts"]
    whole = Projection.for_genes(adata.var_names).embed([(0, matrix)], counts=True)
    alone = Projection.for_genes(adata.var_names).embed([(0, matrix[cell])], counts=True)
    np.testing.assert_array_equal(whole[cell], alone[0])
    columns = [*order, *range(15, adata.n_vars)]
    genes = [adata.var_names[i] for i in columns]
    other = Projection.for_genes(genes).embed([(0, matrix[[cell]][:, columns])], counts=True)
    np.testing.assert_allclose(other[0], alone[0], atol=1e-6)
    deeper = Projection.for_genes(adata.var_names).embed([(0, matrix[cell] * depth)], counts=True)
    np.testing.assert_allclose(deeper, alone, atol=1e-5)


def test_cells_of_one_type_are_neighbours():
    adata = labelled()
    found = cellferry.embed_cells(adata, progress=False).astype(np.float64)
    distance = np.linalg.norm(found[:, None] - found[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    truth = adata.obs["truth"].to_numpy()
    assert (truth[distance.argmin(axis=1)] == truth).all()


def test_a_foreign_embedding_is_not_replaced_unasked():
    adata = labelled()
    adata.obsm["X_cellferry"] = np.zeros((60, 2))
    with pytest.raises(errors.ColumnExistsError, match="X_cellferry"):
        cellferry.embed_cells(adata, progress=False)
    assert adata.obsm["X_cellferry"].shape == (60, 2)
    cellferry.embed_cells(adata, overwrite=True, progress=False)
    cellferry.embed_cells(adata, progress=False)
    assert adata.obsm["X_cellferry"].shape == (60, DIMENSIONS)


class Own(BaseHTTPRequestHandler):
    """A service that has the companions at paths of its own, and answers in its own way."""

    seen = ()
    fail = 0

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, self.headers.get("Authorization"), body))
        n = body["matrix"]["shape"][0]
        status, answer = 404, {"detail": "no such path"}
        if Own.fail and len(self.seen) > Own.fail:
            status = 500
        elif self.path == "/v2/vectors":
            status, answer = 200, {"data": {"embedding": [["0.5", i] for i in range(n)]}}
            answer["data"]["embedding"][-1] = None
        elif self.path == "/v2/genes":
            row = {"cluster": "B cell", "gene": "CD19", "avg_log2FC": 2.0, "p_val": 0.01}
            status, answer = 200, {"markers": [row]}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def own():
    Own.seen, Own.fail = [], 0
    http = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/v1/cells/annotate"
    http.shutdown()
    http.server_close()


def atlas(url, **options):
    made = CellAtlas(api_url=url, api_key="k-1234567", qc="off", parallel=1, **options)
    made.retries = Retries(attempts=2, first=0.01, longest=0.02)
    return made


def test_a_service_may_have_paths_of_its_own(own):
    adata = labelled(10)
    engine = atlas(own, markers_path="/v2/genes", embedding_path="/v2/vectors", chunk_size=5)
    found = cellferry.export_markers(adata, engine=engine, progress=False)
    assert found.to_frame()[["cluster", "gene"]].values.tolist() == [["B cell", "CD19"]]
    values = cellferry.embed_cells(adata, engine=engine, progress=False)
    assert values[:4].tolist() == [[0.5, 0], [0.5, 1], [0.5, 2], [0.5, 3]]
    # One row that is missing costs its cell alone.
    assert np.isnan(values[[4, 9]]).all()
    assert [path for path, *_ in Own.seen] == ["/v2/genes", "/v2/vectors", "/v2/vectors"]
    assert {key for _, key, _ in Own.seen} == {"Bearer k-1234567"}
    assert Own.seen[0][2]["labels"] == adata.obs["cell_type"].tolist()


def test_chunks_that_were_answered_are_not_paid_again(own):
    adata = labelled(20)
    engine = atlas(own, embedding_path="/v2/vectors", chunk_size=5)
    Own.fail = 2
    with pytest.raises(errors.ServiceFailedError) as caught:
        cellferry.embed_cells(adata, engine=engine, progress=False)
    assert "X_cellferry" not in adata.obsm
    run, Own.fail, Own.seen[:] = caught.value.data["run"], 0, []
    found = cellferry.embed_cells(adata, engine=engine, progress=False, resume=run)
    assert len(Own.seen) == 2
    assert found.shape == (20, 2)
    assert Run.open(run).content["status"] == "finished"


def test_what_the_hosted_service_has_not_published_is_not_guessed():
    with pytest.raises(errors.InvalidOptionError, match="embedding_path") as caught:
        cellferry.embed_cells(
            labelled(), engine="cellatlas", api_key="k-1234567", qc="off", allow_upload=True,
            progress=False,
        )  # fmt: skip
    assert '"local"' in caught.value.hint
    with pytest.raises(errors.UploadNotAllowedError):
        cellferry.export_markers(labelled(), engine="cellatlas", qc="off", progress=False)


@pytest.mark.parametrize("path", ["v1/x", "//host/x", "https://other.org/x", "/x?key=1", ""])
def test_a_path_is_a_path_of_the_same_service(path):
    with pytest.raises(errors.InvalidOptionError, match="markers_path"):
        CellAtlas(markers_path=path)


def test_labels_must_be_there():
    adata = cells(12, clusters=False)
    with pytest.raises(errors.GroupMissingError, match="labels"):
        cellferry.export_markers(adata, progress=False)
    with pytest.raises(errors.UnsupportedObjectError):
        cellferry.embed_cells({"0": ["CD3D"]}, progress=False)


@pytest.fixture
def stored(tmp_path):
    adata = labelled()
    adata.write_h5ad(tmp_path / "x.h5ad")
    adata.write_zarr(tmp_path / "x.zarr")
    return adata


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["x.h5ad", "x.zarr"])
def test_a_path_is_taken_in_the_place_of_an_object(tmp_path, stored, name):
    import anndata

    path = tmp_path / name
    found = cellferry.export_markers(path, progress=False)
    wanted = cellferry.export_markers(stored, progress=False)
    pd.testing.assert_frame_equal(found.to_frame(), wanted.to_frame())
    here = cellferry.embed_cells(stored, progress=False)
    np.testing.assert_array_equal(cellferry.embed_cells(str(path), progress=False), here)
    assert not (tmp_path / "y.h5ad").exists()
    values = cellferry.embed_cells(path, output=tmp_path / "y.h5ad", progress=False)
    np.testing.assert_array_equal(values, here)
    written = anndata.read_h5ad(tmp_path / "y.h5ad")
    np.testing.assert_array_equal(written.obsm["X_cellferry"], here)
    assert written.uns["X_cellferry_embedding"] == stored.uns["X_cellferry_embedding"]


def test_where_an_embedding_may_go_is_checked_before_it_is_made(tmp_path, stored):
    path = tmp_path / "x.h5ad"
    with pytest.raises(errors.InvalidOptionError, match=r"must end in \.h5ad"):
        cellferry.embed_cells(path, output=tmp_path / "y.rds", progress=False)
    with pytest.raises(errors.OutputError, match="not replaced"):
        cellferry.embed_cells(path, output=path, progress=False)
    with pytest.raises(errors.InvalidOptionError, match="object of a path"):
        cellferry.embed_cells(stored, output=tmp_path / "y.h5ad", progress=False)
    with pytest.raises(errors.InvalidOptionError, match=r"for an \.rds"):
        cellferry.export_markers(path, assay="RNA", progress=False)
    (tmp_path / "m.csv").write_text("gene,cluster\nCD3D,0\n")
    with pytest.raises(errors.UnsupportedObjectError, match=r"m\.csv"):
        cellferry.export_markers(tmp_path / "m.csv", progress=False)
    with pytest.raises(errors.InputError, match=r"no\.h5ad"):
        cellferry.export_markers(tmp_path / "no.h5ad", progress=False)


@needs_rscript
@pytest.mark.filterwarnings("ignore")
def test_an_rds_is_read_and_written_by_r(tmp_path):
    from rds_files import PBMC, r_script

    path = tmp_path / "x.rds"
    r_script(f"{PBMC} saveRDS(x, '{path}')")
    found = cellferry.export_markers(path, "groups", progress=False)
    assert set(found.clusters) == {"g1", "g2"}
    wanted = cellferry.find_markers(
        path, "groups", only_pos=True, logfc_threshold=0.25, min_pct=0.1, rules="5.0.1",
        progress=False,
    )  # fmt: skip
    pd.testing.assert_frame_equal(found.to_frame(), wanted.to_frame())
    output = tmp_path / "y.rds"
    values = cellferry.embed_cells(path, output=output, progress=False)
    np.testing.assert_array_equal(cellferry.embed_cells(path, progress=False), values)
    text = r_script(f"write.csv(Embeddings(readRDS('{output}'), 'cellferry'), stdout())")
    written = pd.read_csv(io.StringIO(text), index_col=0)
    np.testing.assert_allclose(written.to_numpy(), values, atol=1e-6)
    with pytest.raises(errors.ColumnExistsError, match="pca"):
        cellferry.embed_cells(path, key="X_pca", output=tmp_path / "z.rds", progress=False)
    table = tmp_path / "e.csv"
    arguments = ["embed", str(path), "--assay", "RNA", "--out", str(table)]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0, done.output
    assert list(pd.read_csv(table, index_col="cell").index) == list(written.index)


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_does_both(tmp_path, server):
    import anndata

    adata = labelled()
    adata.write_h5ad(tmp_path / "x.h5ad")

    def run(*arguments):
        return CliRunner().invoke(group, [str(a) for a in arguments])

    there = ["--engine", "cellatlas", "--api-url", server.url + PATH, "--option", "qc=off"]
    done = run("export-markers", tmp_path / "x.h5ad", "--out", tmp_path / "m.csv")
    assert done.exit_code == 0, done.output
    done = run("export-markers", tmp_path / "x.h5ad", "--out", tmp_path / "n.tsv", *there)
    assert done.exit_code == 0, done.output
    one = pd.read_csv(tmp_path / "m.csv")
    assert set(one["gene"]) == set(pd.read_csv(tmp_path / "n.tsv", sep="\t")["gene"])
    done = run("embed", tmp_path / "x.h5ad", "--out", tmp_path / "y.h5ad")
    assert done.exit_code == 0, done.output
    assert anndata.read_h5ad(tmp_path / "y.h5ad").obsm["X_cellferry"].shape == (60, DIMENSIONS)
    done = run("embed", tmp_path / "x.h5ad", "--out", tmp_path / "e.csv", *there)
    table = pd.read_csv(tmp_path / "e.csv", index_col="cell")
    assert list(table.columns[:2]) == ["cellferry_1", "cellferry_2"]
    assert list(table.index) == list(adata.obs_names)
    again = run("embed", tmp_path / "x.h5ad", "--out", tmp_path / "e.csv")
    assert isinstance(again.exception, errors.OutputError)
