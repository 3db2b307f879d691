import json

import h5py
import pytest

from cellferry import errors
from cellferry.annotate.request import build_study
from cellferry.engines.cytetype.options import Options
from cellferry.engines.cytetype.prepare import clean_up, placed, prepare
from cellferry.runs.run import Run
from cellferry.runs.worker import Events
from cellferry.study.record import study_from_record, study_record
from cytetype_objects import plain


def new_run(**content):
    return Run.create("cytetype", provenance={}, **content)


def prepared(run=None, study=None, **options):
    study = study or build_study(plain(), group_key="cluster")
    return prepare(study, run or new_run(), Options(**options), Events())


def test_a_bare_name_is_in_the_folder_of_the_run_and_a_path_where_it_says(tmp_path):
    run = new_run()
    assert placed("vars.h5", run) == run.folder / "vars.h5"
    assert placed(str(tmp_path / "vars.h5"), run) == tmp_path / "vars.h5"


def test_payload_and_both_artifacts_are_on_disk(tmp_path):
    run = new_run()
    found = prepared(run, obs_duckdb_path=str(tmp_path / "o.duckdb"))
    assert found.artifacts == {
        "vars_h5": run.folder / "vars.h5", "obs_duckdb": tmp_path / "o.duckdb",
    }  # fmt: skip
    with h5py.File(found.artifacts["vars_h5"]) as vars_h5:
        assert vars_h5["vars"].attrs["n_obs"] == plain().n_obs
    assert run.load("payload.json") == found.payload
    assert json.loads((run.folder / "query.json").read_text()) == found.payload


def test_what_is_prepared_is_not_made_again_and_needs_no_object():
    run = new_run()
    first = prepared(run)
    before = (run.folder / "vars.h5").stat().st_mtime_ns
    alone = study_from_record(study_record(build_study(plain(), group_key="cluster")))
    second = prepare(alone, Run.open(run.id), Options(), Events())
    assert second == first
    assert second.key == first.key
    assert (run.folder / "vars.h5").stat().st_mtime_ns == before


def test_a_run_that_was_stopped_before_needs_the_object_and_says_that_nothing_was_sent():
    alone = study_from_record(study_record(build_study(plain(), group_key="cluster")))
    with pytest.raises(errors.RunDamagedError, match="nothing was sent"):
        prepared(study=alone)


def test_markers_alone_need_require_artifacts_false():
    study = build_study({"B": ["CD79A"], "T": ["CD3E"]})
    with pytest.raises(errors.EngineNeedsError, match="normalised expression") as caught:
        prepared(study=study)
    assert "require_artifacts" in caught.value.hint
    found = prepared(study=study, require_artifacts=False)
    assert found.artifacts == {}
    assert found.payload["markerGenes"] == {"B": ["CD79A"], "T": ["CD3E"]}


def test_an_artifact_that_cannot_be_built_is_an_error_or_left_out(tmp_path, caplog):
    where = str(tmp_path / "none" / "vars.h5")
    with pytest.raises(errors.ArtifactBuildError) as caught:
        prepared(vars_h5_path=where)
    assert "github.com" in caught.value.hint
    found = prepared(vars_h5_path=where, require_artifacts=False)
    assert list(found.artifacts) == ["obs_duckdb"]
    assert found.payload["expressionData"]
    assert "left out" in caplog.text


@pytest.mark.parametrize("option", ["vars_h5_path", "query_filename"])
def test_a_foreign_file_is_not_replaced_unless_asked(tmp_path, option):
    foreign = tmp_path / "mine"
    foreign.write_text("mine")
    with pytest.raises(errors.OutputError):
        prepared(**{option: str(foreign)})
    assert foreign.read_text() == "mine"
    prepared(overwrite_files=True, **{option: str(foreign)})
    assert foreign.read_bytes() != b"mine"


def test_the_query_is_written_only_if_asked(tmp_path):
    run = new_run()
    prepared(run, save_query=False)
    assert not (run.folder / "query.json").exists()
    prepared(query_filename=str(tmp_path / "q.json"))
    assert "markerGenes" in json.loads((tmp_path / "q.json").read_text())
    with pytest.raises(errors.OutputError, match="query_filename"):
        prepared(query_filename=str(tmp_path / "none" / "q.json"))


def test_only_the_allowed_columns_leave():
    found = prepared(obs_columns=("donor",))
    assert all(set(v) <= {"donor"} for v in found.payload["clusterMetadata"].values())
    import duckdb

    with duckdb.connect(str(found.artifacts["obs_duckdb"]), read_only=True) as opened:
        columns = {c for (c,) in opened.sql("select column_name from (describe obs)").fetchall()}
    assert {"donor", "cluster"} <= columns
    assert not columns & {"barcode", "rare", "n_counts"}


def test_cleaning_up_deletes_the_artifacts_and_is_no_matter_twice():
    run = new_run()
    found = prepared(run)
    clean_up(found)
    clean_up(found)
    assert not (run.folder / "vars.h5").exists()
    assert not (run.folder / "obs.duckdb").exists()


def test_the_client_type_is_the_objects():
    study = build_study(plain(), group_key="cluster")
    run = Run.create("cytetype", provenance={"object": "Seurat"})
    found = prepare(study, run, Options(), Events())
    assert found.payload["clientInfo"]["clientType"] == "seurat"


def test_a_backed_anndata_is_prepared_like_one_in_memory(tmp_path):
    import anndata

    plain().write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    try:
        study = build_study(backed, group_key="cluster")
        assert prepared(study=study).payload == prepared().payload
    finally:
        backed.file.close()
