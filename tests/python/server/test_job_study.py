"""A job as a study."""

import numpy as np
import pytest

from cellferry.annotate.verb import execute
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.engines.local import Local
from cellferry.runs.run import Run
from cellferry.server.failures import Failure
from cellferry.server.jobs.payload import JobInput
from cellferry.server.jobs.study import check_job, named, payload_markers, study_of
from server_process import MARKERS


def job(markers=MARKERS, labels=None, **parts):
    labels = {name: f"cluster {name}" for name in markers} if labels is None else labels
    return JobInput(parts.pop("study_info", ""), parts.pop("tags", {}), labels, markers, **parts)


def test_the_context_comes_from_the_tags():
    study = study_of(job(tags={"Tissue": " blood ", "organism": "Homo sapiens"}))
    assert (study.context.tissue, study.context.species) == ("blood", "human")
    assert study.clusters.names == ("0", "1", "2")


def test_the_species_is_told_from_the_genes_when_nobody_says():
    mouse = {"0": ["Cd3e", "Cd79a", "Ms4a1", "Lyz2", "Cd14", "Nkg7"]}
    assert study_of(job(mouse)).context.species == "mouse"


def test_measured_genes_are_known_only_when_the_client_sent_all():
    genes = tuple({g for of in MARKERS.values() for g in of})
    percentages = np.zeros((len(genes), 3), dtype=np.float32)
    assert set(study_of(job(genes=genes, percentages=percentages)).genes) == set(genes)
    assert study_of(job(genes=genes[:2], percentages=percentages[:2])).genes is None


def test_the_answers_are_those_of_the_package(tmp_path):
    study = study_of(job(tags={"tissue": "blood"}))
    found = execute(Run.create("local", tmp_path / "run", provenance={}), study, Local(), None)
    assert found.labels() == {"0": "B cell", "1": "T cell", "2": "Classical monocyte"}


def test_sizes_become_numbers_of_cells():
    assert study_of(job(), {"0": 5, "2": 7}).clusters.counts() == {"0": 5, "1": 0, "2": 7}


def test_identifiers_instead_of_symbols_are_refused():
    with pytest.raises(Failure, match="Ensembl"):
        check_job(job({"0": [f"ENSG{i:011d}" for i in range(9)]}), Local())
    check_job(job(), Local())


def test_markers_with_their_prevalence():
    percentages = np.array([[50, np.nan, 0]], dtype=np.float32)
    found = payload_markers(job(genes=("CD79A",), percentages=percentages), most=1)
    assert found == {
        "cluster": ["0", "1", "2"],
        "gene": ["CD79A", "CD3D", "LYZ"],
        "pct.1": [0.5, None, None],
    }


def test_people_read_the_users_names_unless_they_are_ambiguous():
    found = Annotations(
        (Annotation("0", "ok", label="B"), Annotation("1", "ok", label="T")),
        {"0": {"x": 1}},
        {},
        {"cluster": ["0"], "gene": ["A"]},
    )
    renamed = named(found, job(labels={"0": "b", "1": "t"}))
    assert renamed.labels() == {"b": "B", "t": "T"}
    assert renamed.evidence == {"b": {"x": 1}}
    assert renamed.markers["cluster"] == ["b"]
    assert named(found, job(labels={"0": "b", "1": "b"})) is found
