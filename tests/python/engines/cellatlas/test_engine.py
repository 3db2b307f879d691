import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_server import AtlasServer, label_of
from cell_data import GENES, cells
from cellferry import annotate_cells
from cellferry.annotate import verb
from cellferry.annotate.checks import check_consent
from cellferry.annotate.request import build_study
from cellferry.engines.base import Extent
from cellferry.engines.cellatlas import CellAtlas
from cellferry.engines.service.client import Retries
from cellferry.errors import (
    CellsQualityWarning,
    CredentialsRequiredError,
    EngineNeedsError,
    GeneIdentifiersError,
    ServiceAnswerError,
    ServiceFailedError,
    UploadNotAllowedError,
)
from cellferry.runs.run import Run
from cellferry.study.expression.source import ExpressionSource
from cellferry.study.study import Context

pytestmark = [
    pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning"),
    pytest.mark.filterwarnings("ignore::cellferry.errors.CellsDiagnosisWarning"),
]


def expected(adata):
    return [label_of(GENES, row) for row in adata.layers["counts"].toarray()]


def engine(server, **options):
    made = CellAtlas(api_url=server.url, **{"min_counts": 0, **options})
    made.retries = Retries(attempts=3, first=0.01, longest=0.05)
    return made


def annotate(adata, server, **options):
    return annotate_cells(adata, engine=engine(server, **options), progress=False)


@pytest.fixture
def server():
    with AtlasServer().running() as found:
        yield found


def test_every_cell_gets_its_own_call(server):
    adata = cells(40)
    found = annotate(adata, server, chunk_size=7)
    assert adata.obs["cell_type_cell"].tolist() == expected(adata)
    assert set(adata.obs["cell_type_cell_confidence"]) == {0.75}
    frame = found.to_frame()
    assert frame["supporting"].tolist() == [[x.removesuffix(" cell")] for x in expected(adata)]
    assert frame["alternatives"].tolist() == [["Other"]] * 40
    assert found.model == "geneformer"
    assert found.evidence["chunks"] == 6
    assert "cell_type_cell_majority" in adata.obs


def test_counts_are_sent_as_the_tutorial_says(server):
    adata = cells(5)
    annotate(adata, server)
    (request,) = server.requests
    sent = request["body"]
    assert sorted(sent) == ["genes", "matrix", "model", "reference_atlas"]
    assert sorted(sent["matrix"]) == ["data", "indices", "indptr", "shape"]
    assert sent["genes"] == GENES
    assert all(isinstance(v, int) for v in sent["matrix"]["data"])
    annotate(adata, server, values="normalized", model="scgpt")
    again = server.requests[1]["body"]
    assert any(isinstance(v, float) for v in again["matrix"]["data"])
    assert again["model"] == "scgpt"


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(st.integers(1, 41), st.integers(4_096, 20_000), st.integers(1, 4))
def test_any_chunking_gives_the_same_answer(size, chunk_bytes, parallel):
    adata = cells(40)
    with AtlasServer().running() as server:
        found = annotate(adata, server, chunk_size=size, chunk_bytes=chunk_bytes, parallel=parallel)
    assert found.to_frame()["label"].tolist() == expected(adata)


def test_a_run_stopped_at_a_chunk_goes_on_with_it(server):
    adata = cells(40)
    server.faults = dict.fromkeys(range(4, 99), 500)
    with pytest.raises(ServiceFailedError) as caught:
        annotate(adata, server, chunk_size=5, parallel=1)
    assert "cell_type_cell" not in adata.obs
    run = Run.open(caught.value.data["run"])
    assert run.content["status"] == "failed"
    assert len(run.finished()) == 4
    server.faults = {}
    before = len(server.requests)
    annotate_cells(adata, resume=run.id, progress=False)
    assert len(server.requests) == before + 4
    assert adata.obs["cell_type_cell"].tolist() == expected(adata)
    units = [json.loads(x)["unit"] for x in (run.folder / "journal.jsonl").open()]
    assert units[0] == "chunk 1: cells 1 to 5"
    assert "sk-" not in (run.folder / "run.json").read_text()


def test_quality_is_warned_of_filtered_or_left_alone(server):
    adata = cells(12)
    adata.layers["counts"][0] = 0
    adata.obs["predicted_doublet"] = [False, True] + [False] * 10
    with pytest.warns(CellsQualityWarning, match="2 of 12 cells"):
        warned = annotate(adata.copy(), server, min_counts=5)
    assert warned.counts() == {"ok": 11, "unknown": 1}
    with pytest.warns(CellsQualityWarning, match="2 of 12 cells"):
        filtered = annotate(adata.copy(), server, min_counts=5, qc="filter", chunk_size=3)
    assert filtered.counts() == {"ok": 10, "skipped": 2}
    frame = filtered.to_frame()
    assert frame["error"].iloc[0] == "Fewer than 5 counts: an empty droplet."
    assert frame["label"].tolist()[2:] == expected(adata)[2:]
    assert filtered.evidence["quality"]["action"] == "filter"
    assert "quality" not in annotate(adata.copy(), server, qc="off").evidence


def test_expression_leaves_only_with_consent_and_a_key(monkeypatch):
    monkeypatch.delenv("CELLATLAS_API_KEY", raising=False)
    hosted = CellAtlas(api_url="https://atlas.invalid/annotate", min_counts=0)
    assert hosted.capabilities.sends == {"expression"}
    with pytest.raises(UploadNotAllowedError, match=r"expression to atlas\.invalid"):
        annotate_cells(cells(6), engine=hosted, progress=False)
    with pytest.raises(CredentialsRequiredError, match="api_key"):
        annotate_cells(cells(6), engine=hosted, allow_upload=True, progress=False)


def test_the_key_is_sent_and_kept_nowhere():
    with AtlasServer(token="sk-sci-secret-key").running() as server:
        found = annotate(cells(6), server, api_key="sk-sci-secret-key")
    run = Run.open(found.provenance["run"])
    for path in run.folder.rglob("*"):
        assert path.is_dir() or b"secret-key" not in path.read_bytes()


def test_genes_are_looked_at_before_anything_is_sent(server):
    adata = cells(6)
    adata.var_names = ["CD3E", "CD3E", *GENES[2:]]
    with pytest.raises(GeneIdentifiersError, match="several columns"):
        annotate(adata, server)
    assert server.requests == []


def test_ensembl_identifiers_are_sent_as_symbols(server):
    adata = cells(6)[:, ["CD3D", "CD3E"]].copy()
    adata.var_names = ["ENSG00000167286", "ENSG00000198851"]
    found = annotate(adata, server)
    assert server.requests[0]["body"]["genes"] == ["CD3D", "CD3E"]
    assert found.evidence["genes"]["recognised"] == 2


def test_labels_get_their_ontology_where_the_name_says_it(server, monkeypatch):
    import atlas_server

    monkeypatch.setattr(atlas_server, "label_of", lambda *_: "B cell")
    adata = cells(6)
    annotate(adata, server)
    assert set(adata.obs["cell_type_cell_ontology_id"]) == {"CL:0000236"}


def test_the_plan_sends_nothing(server):
    study = build_study(cells(40), context=Context(species="human"), level="cells")
    plan = verb.plan(study, engine(server, chunk_size=10))
    assert (plan.cells, plan.calls) == (40, 4)
    assert plan.bytes_sent == 8 * study.counts._matrix.nnz
    assert server.requests == []


@pytest.mark.parametrize(("values", "each"), [("auto", 8), ("counts", 8), ("normalized", 17)])
def test_an_object_that_was_not_read_has_an_estimate(server, values, each):
    """What R names before it reads anything: one value in ten is stored."""
    plan = engine(server, chunk_size=1000, values=values).estimate(Extent(2_500, 200))
    assert (plan.cells, plan.calls, plan.bytes_sent) == (2_500, 3, each * 50_000)
    away = CellAtlas(api_url="https://atlas.invalid/annotate", values=values)
    with pytest.raises(UploadNotAllowedError, match=rf"atlas\.invalid, {each * 50_000:,} bytes"):
        check_consent(away, away.estimate(Extent(2_500, 200)), allow_upload=False)
    assert server.requests == []


def test_how_many_values_there_are_is_not_read_where_it_is_known(server):
    study = build_study(cells(40), context=Context(species="human"), level="cells")
    readings = []

    class Known(ExpressionSource):
        stored_values = 123
        genes, shape = study.counts.genes, study.counts.shape

        def __iter__(self):
            readings.append(1)
            return iter(study.counts)

    known = study.with_parts(counts=Known())
    assert engine(server).plan(known).bytes_sent == 8 * 123
    # Once, for the quality of the cells.
    assert readings == [1]
    renamed = study.with_parts(counts=Known().renamed(study.counts.genes))
    assert engine(server, qc="off").plan(renamed).bytes_sent == 8 * 123
    assert readings == [1]


def test_companion_endpoints_are_named():
    found = CellAtlas().capabilities
    assert found.companions == ("embedding extraction", "marker-gene export")
    assert found.uses == {"counts", "normalized", "obs"}
    assert CellAtlas(values="counts").capabilities.uses == {"counts", "obs"}


def test_without_counts_it_says_so(server):
    with pytest.raises(EngineNeedsError, match="raw counts"):
        annotate(cells(6, counts=False), server, values="counts")
    assert np.sum(cells(6).layers["counts"].sum()) > 0


def test_one_call_without_a_label_costs_one_cell_and_no_second_request(server):
    server.faults = {0: "nameless"}
    adata = cells(40)
    found = annotate(adata, server)
    assert len(server.requests) == 1
    frame = found.to_frame()
    assert frame["label"].tolist()[:-1] == expected(adata)[:-1]
    assert frame["status"].tolist() == ["ok"] * 39 + ["failed"]
    assert frame["error"].tolist()[-1] == "The service gave no label for this cell."
    assert adata.obs["cell_type_cell"].isna().tolist() == [False] * 39 + [True]


@pytest.mark.parametrize("fault", ["texts", "deeper"])
def test_an_answer_in_another_form_is_used_and_not_asked_for_again(server, fault):
    server.faults = {0: fault}
    adata = cells(10)
    annotate(adata, server)
    assert len(server.requests) == 1
    assert adata.obs["cell_type_cell"].tolist() == expected(adata)
    assert set(adata.obs["cell_type_cell_confidence"]) == {0.75}


@pytest.mark.parametrize(("fault", "requests"), [("short", 2), ("garble", 2), ("queued", 1)])
def test_a_paid_request_is_repeated_at_most_once_for_an_answer_that_is_of_no_use(
    server, fault, requests
):
    server.faults = dict.fromkeys(range(9), fault)
    made = CellAtlas(api_url=server.url, min_counts=0)
    made.retries = Retries(attempts=6, first=0.01, longest=0.02)
    with pytest.raises(ServiceAnswerError):
        annotate_cells(cells(10), engine=made, progress=False)
    assert len(server.requests) == requests
