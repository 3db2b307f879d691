"""What is true for clusters and for cells alike: dry run, resuming, progress, keys."""

import anndata
import pytest

import cellferry
from cell_data import cells
from cellferry import errors, read_annotations
from cellferry.annotations.cells import CELLS_FILE, CellAnnotations
from cellferry.annotations.clusters import Annotations
from cellferry.annotations.delivery import DEFAULT_KEYS
from cellferry.engines import create_engine
from cellferry.engines.base import Plan
from cellferry.runs.run import Run, list_runs

MARKERS = {
    "0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"],
    "1": ["CD3D", "CD3E", "CD3G", "CD2", "IL32"],
    "2": ["CD14", "LYZ", "S100A9", "FCN1", "S100A8"],
}
FUNCTIONS = {"clusters": cellferry.annotate_clusters, "cells": cellferry.annotate_cells}
ANSWERS = {"clusters": Annotations, "cells": CellAnnotations}

both = pytest.mark.parametrize("level", ["clusters", "cells"])


def arguments(level, **more):
    """Arguments of the function of a level, for the object of the tests."""
    of_clusters = {"markers": MARKERS} if level == "clusters" else {}
    return {"group_key": "leiden", "progress": False, **of_clusters, **more}


def annotated(level, adata=None, **more):
    return FUNCTIONS[level](cells() if adata is None else adata, **arguments(level, **more))


def stopped(found):
    """Return the id of the run of an answer, as if it had been stopped before its end."""
    run = Run.open(found.provenance["run"])
    for name in ("annotations.json", CELLS_FILE):
        (run.folder / name).unlink(missing_ok=True)
    run.update(status="interrupted")
    return run.id


def status(run):
    return Run.open(run).content["status"]


@both
def test_a_dry_run_returns_the_plan_and_leaves_everything_as_it_was(level):
    adata = cells()
    before = adata.copy()
    plan = annotated(level, adata, dry_run=True)
    assert isinstance(plan, Plan)
    number = {"clusters": "3 clusters", "cells": "60 cells"}[level]
    assert str(plan) == f"local: {number}, 0 calls, 0 bytes sent, cost $0.00"
    assert adata.obs.equals(before.obs)
    assert set(adata.uns) == set(before.uns)
    assert list_runs() == []


@both
def test_a_dry_run_finds_the_mistakes_of_a_run(level):
    with pytest.raises(errors.InvalidKeyError):
        annotated(level, dry_run=True, key="a/b")
    with pytest.raises(errors.GroupMissingError):
        annotated(level, dry_run=True, group_key="leidn")


@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
@both
def test_a_dry_run_needs_no_consent(level):
    engine = {"clusters": "cytetype", "cells": "cellatlas"}[level]
    options = {"clusters": {}, "cells": {"qc": "off"}}[level]
    plan = annotated(level, engine=engine, dry_run=True, species="human", **options)
    assert plan.bytes_sent > 0
    with pytest.raises(errors.UploadNotAllowedError):
        annotated(level, engine=engine, species="human", **options)


@both
def test_a_stopped_run_is_resumed_with_its_object_which_is_labelled(level):
    found = annotated(level, tissue="blood", key="mine")
    run = stopped(found)
    adata = cells()
    again = cellferry.resume(run, adata, progress=False)
    assert isinstance(again, ANSWERS[level])
    assert again.to_frame().equals(found.to_frame())
    assert again.provenance["tissue"] == "blood"
    assert status(run) == "finished"
    assert len(list_runs()) == 1
    expected = cells()
    annotated(level, expected, tissue="blood", key="mine")
    assert adata.obs.equals(expected.obs)
    assert read_annotations(adata, "mine").provenance["run"] == run


@both
def test_the_function_resumes_with_what_the_run_recorded(level):
    found = annotated(level, tissue="blood", key="mine")
    run = stopped(found)
    adata = cells()
    again = FUNCTIONS[level](adata, resume=run, progress=False)
    assert again.to_frame().equals(found.to_frame())
    assert (again.provenance["tissue"], again.provenance["key"]) == ("blood", "mine")
    assert {c for c in adata.obs if c.startswith("mine")} == set(found.provenance["columns"])
    with pytest.raises(errors.RunMismatchError, match='under the key "mine", not under "yours"'):
        FUNCTIONS[level](cells(), resume=run, key="yours", progress=False)


@both
def test_a_finished_run_brings_its_labels_and_does_nothing_again(level):
    found = annotated(level)
    run = Run.open(found.provenance["run"])
    before = {p.name: p.stat().st_mtime_ns for p in run.folder.iterdir()}
    again = cellferry.resume(run.folder, progress=False)
    assert again.to_frame().equals(found.to_frame())
    adata = cells()
    cellferry.resume(run.id, adata, progress=False)
    assert DEFAULT_KEYS[level] in adata.obs
    assert {p.name: p.stat().st_mtime_ns for p in run.folder.iterdir()} == before


@both
def test_the_cells_may_be_in_another_order(level):
    run = stopped(annotated(level))
    expected, turned = cells(), cells()[::-1].copy()
    annotated(level, expected)
    cellferry.resume(run, turned, progress=False)
    key = DEFAULT_KEYS[level]
    assert turned.obs[key].astype(str).to_dict() == expected.obs[key].astype(str).to_dict()


@both
def test_another_object_is_refused_and_untouched(level):
    run = stopped(annotated(level))
    other = cells(30)
    before = other.obs.copy()
    with pytest.raises(errors.RunMismatchError, match="not the one of the run"):
        cellferry.resume(run, other, progress=False)
    assert other.obs.equals(before)


@both
def test_a_column_of_others_is_not_replaced_by_resuming(level):
    run = stopped(annotated(level))
    adata = cells()
    adata.obs[DEFAULT_KEYS[level]] = "mine"
    with pytest.raises(errors.ColumnExistsError):
        cellferry.resume(run, adata, progress=False)
    assert status(run) == "interrupted"
    cellferry.resume(run, adata, overwrite=True, progress=False)
    assert "mine" not in set(adata.obs[DEFAULT_KEYS[level]])


@both
def test_a_run_is_resumed_by_the_verb_of_its_level(level):
    other = {"clusters": "cells", "cells": "clusters"}[level]
    run = stopped(annotated(level))
    with pytest.raises(errors.RunMismatchError, match=f"about {level}, not about {other}"):
        FUNCTIONS[other](cells(), resume=run, progress=False)


def test_only_cells_need_their_object():
    clusters, of_cells = (stopped(annotated(level)) for level in ("clusters", "cells"))
    assert cellferry.resume(clusters, progress=False)["0"].label == "B cell"
    with pytest.raises(errors.EngineNeedsError, match="Give the object"):
        cellferry.resume(of_cells, progress=False)
    assert status(of_cells) == "interrupted"


def test_clusters_of_a_marker_table_are_resumed_with_it():
    found = cellferry.annotate_clusters(MARKERS, progress=False)
    assert cellferry.resume(stopped(found), MARKERS, progress=False).rows == found.rows


@both
def test_an_unknown_run_is_an_error(level):
    with pytest.raises(errors.RunNotFoundError):
        annotated(level, resume="nothing")
    with pytest.raises(errors.RunNotFoundError):
        cellferry.resume("nothing")


@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
@both
def test_consent_is_for_the_host_of_the_run(level):
    name, options = {"clusters": ("cytetype", {}), "cells": ("cellatlas", {"qc": "off"})}[level]
    run = Run.open(stopped(annotated(level)))
    engine = create_engine(name, {"api_url": "https://one.invalid/x", **options}, level)
    run.update(engine=name, options=dict(engine.describe()))
    secret = {"auth_token": "t"} if level == "clusters" else {"api_key": "k"}
    with pytest.raises(errors.UploadNotAllowedError, match=r"two\.invalid"):
        cellferry.resume(run.id, cells(), progress=False, api_url="https://two.invalid/x", **secret)
    if level == "cells":
        # That of the run was consented to; what is missing next is the key.
        with pytest.raises(errors.CredentialsRequiredError):
            cellferry.resume(run.id, cells(), progress=False)


def ensembl(adata):
    """The same cells with Ensembl identifiers for the genes that have one in the tests."""
    ids = {"CD79A": "ENSG00000105369", "CD3D": "ENSG00000167286", "CD3E": "ENSG00000198851"}
    adata = adata[:, list(ids)].copy()
    adata.var_names = [ids[g] for g in adata.var_names]
    return adata


@both
def test_identifiers_become_symbols_again_when_a_run_is_resumed(level):
    markers = {"0": ["ENSG00000105369"], "1": ["ENSG00000167286", "ENSG00000198851"]}
    more = {"markers": markers} if level == "clusters" else {}
    part = ensembl(cells()[cells().obs["leiden"] != "2"].copy())
    found = annotated(level, part.copy(), species="human", **more)
    run = Run.open(stopped(found))
    (run.folder / "prevalence.json").unlink(missing_ok=True)
    journal = (run.folder / "journal.jsonl").read_bytes()
    again = cellferry.resume(run.id, part, progress=False)
    assert again.to_frame().equals(found.to_frame())
    assert dict(again.provenance) == dict(found.provenance)
    # Keyed by all that determines an answer: nothing was answered anew.
    assert (run.folder / "journal.jsonl").read_bytes() == journal


@both
def test_an_interrupt_says_how_to_go_on(level):
    from cellferry.engines.local import Local
    from cellferry.engines.local.cells import LocalCells

    class Stops({"clusters": Local, "cells": LocalCells}[level]):
        def run(self, *_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        annotated(level, engine=Stops())
    run = caught.value.run
    line = {
        "clusters": f"cellferry runs resume {run}",
        "cells": f'cellferry.resume("{run}", data)',
    }[level]
    assert caught.value.__notes__ == [f"Resume with: {line}"]
    assert status(run) == "interrupted"
    assert cellferry.resume(run, cells(), progress=False).counts()["ok"] > 2


@both
def test_progress_is_drawn_where_there_is_a_terminal(level, monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    annotated(level, progress=True)
    drawn = capfd.readouterr().err
    assert f"Annotating {level}" in drawn
    annotated(level, progress=False)
    assert f"Annotating {level}" not in capfd.readouterr().err


@both
def test_objects_that_are_none_say_what_is_valid(level):
    with pytest.raises(errors.UnsupportedObjectError, match="int"):
        FUNCTIONS[level](3, progress=False)


def test_the_answer_reaches_a_file(tmp_path):
    adata = cells()
    cellferry.annotate_cells(adata, progress=False)
    adata.write_h5ad(tmp_path / "x.h5ad")
    run = read_annotations(anndata.read_h5ad(tmp_path / "x.h5ad")).provenance["run"]
    assert cellferry.resume(run, progress=False).counts()["ok"] > 50
