"""The work on one job: done again it gives the same files and asks nothing twice."""

import warnings

import numpy as np
import orjson
import pytest

import cellferry
from cellferry.annotations.clusters import Annotations
from cellferry.biology.orthologs import ortholog_table
from cellferry.runs.run import home
from cellferry.server.jobs.engines import engine_of
from cellferry.server.jobs.evidence import Evidence
from cellferry.server.jobs.orthologs import ByOwnNames
from cellferry.server.jobs.payload import JobInput
from cellferry.server.jobs.study import check_job
from cellferry.server.jobs.work import answer
from cellferry.study.expression.lookup import Figures
from server_engine import SlowModel
from server_process import MARKERS

JOB = JobInput("context", {"tissue": "blood"}, {name: name for name in MARKERS}, MARKERS)


def work(folder, engine=None, on_event=lambda _event: None):
    evidence = Evidence(None, {}, JOB)
    return answer(JOB, engine or engine_of((), 1), evidence, folder, parallel=2, on_event=on_event)


def test_files_and_answers(tmp_path):
    found = work(tmp_path)
    results = orjson.loads((tmp_path / "results.json").read_bytes())
    labels = {
        name: value["latest"]["annotation"]["annotation"]
        for name, value in results["annotations"].items()
    }
    assert labels == found.labels() == {"0": "B cell", "1": "T cell", "2": "Classical monocyte"}
    kept = Annotations.from_json((tmp_path / "annotations.json").read_text())
    assert kept.rows == found.rows
    assert kept.markers["gene"][:2] == ["CD79A", "MS4A1"]


@pytest.mark.parametrize(
    ("rename", "notes"),
    [
        (lambda gene: gene, ()),
        (lambda gene: f"Z{gene}q", ("Only 0 of 21 genes of the marker table are known symbols",)),
        (lambda gene: f"GRCh38-{gene}", ("Only 0 of 21 genes", 'not known are "GRCh38-')),
        (lambda gene: gene.replace("CD79A", "2-Sep"), ("what a spreadsheet makes of symbols",)),
    ],
)
def test_the_client_is_told_of_genes_that_are_not_known(tmp_path, rename, notes):
    markers = {name: [rename(gene) for gene in genes] for name, genes in MARKERS.items()}
    job = JobInput("context", {"tissue": "blood"}, {name: name for name in markers}, markers)
    evidence = Evidence(None, {}, job)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer(job, engine_of((), 1), evidence, tmp_path, parallel=2, on_event=lambda _event: None)
    told = orjson.loads((tmp_path / "results.json").read_bytes())["summary"]["notes"]
    assert bool(told) == bool(notes)
    for note in notes:
        assert note in " ".join(told)
    if notes:
        assert "as they are written" in told[-1]


def test_done_again_it_is_the_same(tmp_path):
    work(tmp_path)
    first = (tmp_path / "results.json").read_bytes()
    journal = (tmp_path / "run" / "journal.jsonl").read_bytes()
    work(tmp_path)
    assert (tmp_path / "results.json").read_bytes() == first
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == journal


def test_a_stopped_job_asks_only_for_the_rest(tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("SLOW_MODEL_CALLS", str(calls))
    monkeypatch.setenv("SLOW_MODEL_SECONDS", "0.3")
    model = SlowModel(llm_configs=[{"name": "m", "apiKey": "k"}], max_workers=1)

    def stop(event):
        if event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "job", model, stop)
    monkeypatch.setenv("SLOW_MODEL_SECONDS", "0")
    assert work(tmp_path / "job", model).labels() == {n: f"label {n}" for n in MARKERS}
    assert sorted(calls.read_text().split()) == sorted(MARKERS)


def test_the_users_own_runs_are_not_cluttered(tmp_path):
    work(tmp_path)
    assert not (home() / "runs").exists()


def of_species(species, *, identifiers):
    """The markers as a client of another species has them: gene of the table -> its own."""
    table = ortholog_table(species)
    own = {target: name for name, target in sorted(table.by_symbol.items(), reverse=True)}
    if identifiers:
        own = {t: f"{table.prefix}{n:011}" for n, t in table.by_number.items()}
    return {c: [own[g] for g in genes if g in own] for c, genes in MARKERS.items()}


@pytest.mark.parametrize(
    ("species", "identifiers"), [("zebrafish", False), ("pig", True), ("dog", False)]
)
def test_a_job_of_another_species_is_answered_by_its_orthologs(tmp_path, species, identifiers):
    markers = of_species(species, identifiers=identifiers)
    tags = {"tissue": "blood"} if identifiers else {"tissue": "blood", "species": species}
    job = JobInput("context", tags, {name: name for name in markers}, markers)
    check_job(job, engine_of((), 1))
    evidence = Evidence(None, {}, job)
    found = answer(
        job, engine_of((), 1), evidence, tmp_path, parallel=2, on_event=lambda _event: None
    )
    theirs = cellferry.annotate_clusters(
        markers, species=tags.get("species"), tissue="blood", progress=False
    )
    assert found.labels() == theirs.labels()
    assert "B cell" in found.labels().values()
    assert found.provenance["species"] == species
    # Whoever asked reads the names that it sent.
    sent = {gene for genes in markers.values() for gene in genes}
    for row in found:
        assert row.supporting
        assert set(row.supporting) <= sent
    results = orjson.loads((tmp_path / "results.json").read_bytes())
    assert f"The genes of {species}" in results["summary"]["notes"][0]
    assert "read by the table of their human orthologs" in results["summary"]["notes"][0]


def test_figures_are_looked_up_by_the_names_of_the_client():
    class Known:
        def figures(self, genes):
            self.asked = genes
            one = np.ones((len(genes), 1))
            return Figures(genes, ("0",), np.ones(1, dtype=np.int64), one.astype(np.int64), one)

        def composition(self, column):
            return column

    own = {"CD79A": "cd79a", "PAX5": "pax5"}
    known = Known()
    lookup = ByOwnNames(known, own)
    assert lookup.figures(("PAX5", "CD79A", "other")).genes == ("PAX5", "CD79A", "other")
    assert known.asked == ("pax5", "cd79a", "other")
    assert lookup.composition("sex") == "sex"
    known.figures = lambda genes: None
    assert lookup.figures(("PAX5",)) is None
