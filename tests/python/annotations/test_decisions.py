"""Decisions on an AnnData: set, read, kept, withdrawn, applied elsewhere, carried over."""

import json
from dataclasses import replace

import anndata
import numpy as np
import openpyxl
import pandas as pd
import pytest

import cellferry
from cellferry import errors
from cellferry.annotations.clusters import Annotation
from cellferry.annotations.decisions.decision import from_file, near_terms, term_of
from cellferry.annotations.labelling.objects import attach
from cellferry.study.clusters import Clusters

KEY = "cell_type"


@pytest.fixture
def labelled(blood):
    cellferry.annotate_clusters(blood, group_key="louvain", progress=False)
    return blood


def cluster(adata, n=0):
    return cellferry.read_annotations(adata).rows[n].cluster


def of(adata, name):
    return adata.obs[adata.obs["louvain"] == name]


def test_a_label_is_in_force_in_table_and_columns(labelled):
    name = cluster(labelled)
    before = of(labelled, name).copy()
    others = labelled.obs[labelled.obs["louvain"] != name].copy()
    found = cellferry.set_labels(labelled, {name: "Kupffer cells"}, reason="CLEC4F", by="AB")
    row = found[name]
    assert (row.label, row.ontology_id, row.ontology_label) == (
        "Kupffer cells", "CL:0000091", "Kupffer cell",
    )  # fmt: skip
    assert row.engine_label == before[KEY].iloc[0]
    assert (row.decision, row.decided_by, row.reason) == ("relabelled", "AB", "CLEC4F")
    assert row.confidence == pytest.approx(before["cell_type_confidence"].iloc[0])
    now = of(labelled, name)
    assert set(now[KEY]) == {"Kupffer cells"}
    assert set(now["cell_type_ontology_id"]) == {"CL:0000091"}
    assert now["cell_type_confidence"].isna().all()
    assert set(now["cell_type_decision"]) == {"relabelled"}
    rest = labelled.obs[labelled.obs["louvain"] != name]
    for column in found.provenance["columns"]:
        if column != "cell_type_decision":
            assert rest[column].astype(object).equals(others[column].astype(object)), column
    assert rest["cell_type_decision"].isna().all()


def test_the_label_of_the_engine_is_accepted_and_pinned(labelled):
    name = cluster(labelled)
    label = of(labelled, name)[KEY].iloc[0]
    confidence = of(labelled, name)["cell_type_confidence"].iloc[0]
    found = cellferry.set_labels(labelled, {name: label})
    assert found[name].decision == "accepted"
    assert of(labelled, name)["cell_type_confidence"].iloc[0] == confidence
    other = replace(
        found,
        rows=tuple(
            Annotation(r.cluster, "ok", n_cells=r.n_cells, label="Hepatocyte") for r in found
        ),
        decisions=(),
    )
    clusters = Clusters.from_column(labelled.obs["louvain"])
    again = attach(labelled, other, clusters, KEY)
    assert again[name].engine_label == "Hepatocyte"
    assert set(of(labelled, name)[KEY]) == {label}
    assert of(labelled, name)["cell_type_confidence"].isna().all()
    assert again[name].label == label


def test_a_failed_cluster_can_be_named_and_keeps_its_error(labelled):
    found = cellferry.annotate_clusters(
        {"a": ["CD79A", "MS4A1"], "b": ["NOTAGENE"]}, progress=False
    )
    made = cellferry.set_labels(found, {"b": "Kupffer cell"})
    assert made["b"].status == "ok"
    assert made["b"].engine_status == found["b"].status


def test_decisions_outlast_a_second_run_a_file_a_subset_and_new_names(labelled, tmp_path):
    name = cluster(labelled)
    cellferry.set_labels(labelled, {name: "Kupffer cell"}, by="AB")
    labelled.write_h5ad(tmp_path / "x.h5ad")
    adata = anndata.read_h5ad(tmp_path / "x.h5ad")
    adata = adata[: adata.n_obs // 2].copy()
    adata.obs_names = [f"s1_{n}" for n in adata.obs_names]
    renamed = {c: f"c{c}" for c in adata.obs["louvain"].cat.categories}
    adata.obs["louvain"] = adata.obs["louvain"].cat.rename_categories(renamed)
    del adata.uns["rank_genes_groups"]
    found = cellferry.annotate_clusters(adata, group_key="louvain", progress=False)
    assert found[f"c{name}"].label == "Kupffer cell"
    assert set(of(adata, f"c{name}")[KEY]) == {"Kupffer cell"}
    assert cellferry.decisions(adata)["state"].tolist() == ["in force"]


def test_what_is_stale_is_offered_and_taken_over_on_request(labelled):
    name = cluster(labelled)
    cellferry.set_labels(labelled, {name: "Kupffer cell"}, by="AB")
    labelled.obs["two"] = np.where(
        labelled.obs["louvain"].isin([name, cluster(labelled, 1)]), "joined", "rest"
    )
    with pytest.warns(errors.DecisionsWarning, match='for cluster "joined"'):
        found = cellferry.annotate_clusters(labelled, group_key="two", progress=False)
    assert found["joined"].decision == "stale"
    assert "Kupffer cell" not in set(labelled.obs[KEY])
    assert set(labelled.obs.loc[labelled.obs["two"] == "joined", "cell_type_decision"]) == {"stale"}
    offer = found.decisions[0].offered[0]
    assert offer.of_decision == 1
    assert 0 < offer.of_cluster < 1
    made = cellferry.carry_decisions(labelled, by="CD")
    assert made["joined"].label == "Kupffer cell"
    assert cellferry.decisions(labelled)["by"].tolist() == ["AB", "CD"]


def test_edits_by_hand_are_refused_counted_and_adopted(labelled):
    name = cluster(labelled)
    labelled.obs[KEY] = labelled.obs[KEY].cat.add_categories(["mine"])
    cells = of(labelled, name).index[:7]
    labelled.obs.loc[cells, KEY] = "mine"
    with pytest.raises(errors.LabelsEditedError) as caught:
        cellferry.annotate_clusters(labelled, group_key="louvain", progress=False)
    assert "7 cells have another label" in caught.value.message
    assert 'set_labels(adata, from_column="cell_type", key="cell_type")' in caught.value.hint
    with pytest.raises(errors.LabelsEditedError):
        cellferry.set_labels(labelled, {name: "B cell"})
    with pytest.warns(errors.FreeTextLabelWarning):
        made = cellferry.set_labels(labelled, from_column=KEY)
    assert made[name].n_decided == 7
    found = cellferry.annotate_clusters(labelled, group_key="louvain", progress=False)
    assert list(labelled.obs.index[labelled.obs[KEY] == "mine"]) == list(cells)
    assert found[name].n_decided == 7


def test_edits_of_a_whole_cluster_are_a_decision_about_it(labelled):
    name = cluster(labelled)
    column = labelled.obs[KEY].astype(object)
    column[labelled.obs["louvain"] == name] = "Kupffer cell"
    labelled.obs[KEY] = column
    made = cellferry.set_labels(labelled, from_column=KEY, by="AB")
    assert [d.cluster for d in made.decisions] == [name]
    assert made[name].decision == "relabelled"


@pytest.mark.parametrize("whole", [True, False])
def test_labels_that_were_taken_away_are_unknown(labelled, whole):
    """The line that the refusal names must end the refusal."""
    name = cluster(labelled)
    cells = of(labelled, name).index if whole else of(labelled, name).index[:7]
    labelled.obs.loc[cells, KEY] = None
    with pytest.raises(errors.LabelsEditedError, match=f"{len(cells)} cells"):
        cellferry.annotate_clusters(labelled, group_key="louvain", progress=False)
    made = cellferry.set_labels(labelled, from_column=KEY)
    assert set(labelled.obs.loc[cells, KEY]) == {"Unknown"}
    assert made[name].decision == ("unknown" if whole else None)
    assert made[name].n_decided == (None if whole else 7)
    found = cellferry.annotate_clusters(labelled, group_key="louvain", progress=False)
    assert set(labelled.obs.loc[cells, KEY]) == {"Unknown"}
    assert (found[name].label == "Unknown") == whole


def test_cells_without_a_value_in_another_column_stay(labelled, caplog):
    before = labelled.obs[KEY].tolist()
    labelled.obs["other"] = labelled.obs[KEY].astype(object)
    labelled.obs.loc[labelled.obs.index[:9], "other"] = None
    with caplog.at_level("INFO"):
        cellferry.set_labels(labelled, from_column="other")
    assert "All cells with a value have the labels of the column already" in caplog.text
    assert labelled.obs[KEY].tolist() == before


def test_edits_elsewhere_are_not_touched_by_a_decision(labelled):
    one, two = cluster(labelled), cluster(labelled, 1)
    labelled.obs[KEY] = labelled.obs[KEY].cat.add_categories(["mine"])
    cells = of(labelled, two).index[:3]
    labelled.obs.loc[cells, KEY] = "mine"
    cellferry.set_labels(labelled, {one: "Kupffer cell"})
    assert set(labelled.obs.loc[cells, KEY]) == {"mine"}
    with pytest.raises(errors.LabelsEditedError, match="3 cells"):
        cellferry.annotate_clusters(labelled, group_key="louvain", progress=False)


def test_cells_chosen_by_hand_keep_their_label_until_it_is_withdrawn(labelled):
    name = cluster(labelled)
    engine = of(labelled, name)[KEY].iloc[0]
    cells = list(of(labelled, name).index[:4])
    cellferry.set_labels(labelled, "Plasma cell", cells=cells)
    cellferry.set_labels(labelled, {name: "Kupffer cell"})
    assert set(labelled.obs.loc[cells, KEY]) == {"Plasma cell"}
    cellferry.withdraw_decision(labelled, cells=cells)
    assert set(labelled.obs.loc[cells, KEY]) == {"Kupffer cell"}
    cellferry.withdraw_decision(labelled, name)
    assert set(of(labelled, name)[KEY]) == {engine}
    assert cellferry.decisions(labelled)["state"].tolist() == [
        "withdrawn", "withdrawn", "in force", "in force",
    ]  # fmt: skip


def test_a_file_of_decisions_goes_by_the_cells(labelled, tmp_path):
    fresh = labelled.copy()
    name = cluster(labelled)
    cellferry.set_labels(labelled, {name: "Kupffer cell"}, by="AB", reason="why")
    cellferry.decisions(labelled, file=tmp_path / "decisions.json")
    renamed = {c: f"c{c}" for c in fresh.obs["louvain"].cat.categories}
    fresh.obs["louvain"] = fresh.obs["louvain"].cat.rename_categories(renamed)
    del fresh.uns["rank_genes_groups"]
    cellferry.annotate_clusters(fresh, group_key="louvain", progress=False)
    made = cellferry.apply_decisions(fresh, tmp_path / "decisions.json")
    assert made[f"c{name}"].label == "Kupffer cell"
    assert made[f"c{name}"].reason == "why"
    # Once more changes nothing.
    assert cellferry.apply_decisions(fresh, tmp_path / "decisions.json").rows == made.rows
    half = labelled[::2].copy()
    stored = half.uns["cellferry"][KEY]
    other = labelled[::2].copy()
    del other.uns["cellferry"]
    cellferry.annotate_clusters(other, group_key="louvain", overwrite=True, progress=False)
    before = other.obs.copy()
    with pytest.raises(errors.DecisionsMismatchError, match="None of the 1 decision"):
        cellferry.apply_decisions(other, tmp_path / "decisions.json")
    assert other.obs.equals(before)
    assert half.uns["cellferry"][KEY] == stored


def test_the_run_keeps_decisions_too(labelled):
    name = cluster(labelled)
    found = cellferry.set_labels(labelled, {name: "Kupffer cell"})
    from cellferry.runs.decided import read_lines
    from cellferry.runs.decisions import decisions_file

    lines = read_lines(decisions_file(str(found.provenance["run"])))
    assert [line["label"] for line in lines] == ["Kupffer cell"]


def test_a_run_that_cannot_be_written_costs_a_warning(labelled, monkeypatch):
    from cellferry.annotate import decisions as verbs

    def full(*_):
        raise errors.OutputError("The decisions cannot be written.", "Make room.")

    monkeypatch.setattr(verbs, "append_decisions", full)
    name = cluster(labelled)
    with pytest.warns(errors.DecisionsWarning, match="cannot be written"):
        cellferry.set_labels(labelled, {name: "Kupffer cell"})
    assert set(of(labelled, name)[KEY]) == {"Kupffer cell"}


def test_tables_report_and_genes_show_the_label_in_force(labelled, tmp_path):
    name = cluster(labelled)
    engine = cellferry.read_annotations(labelled)[name].label
    cellferry.set_labels(labelled, {name: "Kupffer cell"}, by="AB", reason="It is so.")
    cellferry.write_annotations(labelled, tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert "Decisions" in book.sheetnames
    head, first = list(book["Decisions"].values)[:2]
    row = dict(zip(head, first, strict=True))
    assert (row["label"], row["by"], row["state"]) == ("Kupffer cell", "AB", "in force")
    page = cellferry.annotation_report(labelled, tmp_path / "r.html").read_text()
    assert f"The engine says {engine}" in page
    assert "It is so." in page
    assert "Kupffer cell" in cellferry.supporting_markers(labelled)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ({"99": "B cell"}, {}, 'There is no cluster "99"'),
        ({}, {}, "no cluster is named"),
        ({"0": ""}, {}, 'label for cluster "0" is empty'),
        ({"0": "a\x00b"}, {}, r"U\+0000"),
        ({"0": "x" * 300}, {}, "300 characters"),
        ({"0": "B cell"}, {"ontology_id": "CL:9999999"}, "no term of the Cell Ontology"),
        ({"0": "B cell"}, {"decision": "acepted"}, 'There is no decision "acepted"'),
        (["B cell", "T cell"], {}, "the order of labels is not enough"),
        ("B cell", {"cells": []}, "No cells are named"),
        ("B cell", {"cells": ["nobody"]}, "1 of 1 cell is not in this object"),
        (None, {"from_column": "louvian"}, 'no column "louvian"'),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(labelled, labels, options, message):
    obs, stored = labelled.obs.copy(), labelled.uns["cellferry"][KEY]
    with pytest.raises(errors.CellferryError, match=message):
        cellferry.set_labels(labelled, labels, **options)
    assert labelled.obs.equals(obs)
    assert labelled.uns["cellferry"][KEY] == stored


def test_two_labels_for_one_cluster_are_refused(labelled, tmp_path):
    table = pd.DataFrame({"cluster": ["0", "0"], "label": ["B cell", "T cell"]})
    with pytest.raises(errors.InvalidOptionError, match="two labels"):
        cellferry.set_labels(labelled, table)
    table.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(errors.InvalidOptionError, match="two labels"):
        cellferry.set_labels(labelled, tmp_path / "x.csv")


def test_a_table_of_labels_is_read_from_csv_and_xlsx(labelled, tmp_path):
    one, two = cluster(labelled), cluster(labelled, 1)
    table = pd.DataFrame(
        {"Cluster": [one, two], "label": ["Kupffer cell", None], "decision": [None, "needs_work"]}
    )
    table.to_excel(tmp_path / "x.xlsx", index=False)
    made = cellferry.set_labels(labelled, tmp_path / "x.xlsx")
    assert made[one].label == "Kupffer cell"
    assert made[two].decision == "needs_work"
    assert made[two].label == made[two].engine_label


@pytest.mark.parametrize(
    "text",
    [
        "", "[1]", "{}", '{"schema": "other/1"}', '{"schema": "cellferry.decisions/1"}',
        '{"schema": "cellferry.decisions/1", "decisions": [{"action": "relabelled"}]}',
        '{"schema": "cellferry.decisions/1", "decisions": [3]}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(text):
    with pytest.raises(errors.DecisionsFormatError):
        from_file(text)


def test_a_newer_file_names_what_to_do():
    text = json.dumps({"schema": "cellferry.decisions/9", "decisions": []})
    with pytest.raises(errors.AnnotationsFormatError, match="newer cellferry"):
        from_file(text)


def test_labels_are_looked_up_and_near_misses_offered():
    assert term_of("NK cell").ontology_id == "CL:0000623"
    assert term_of("CD4 T cell").ontology_id == "CL:0000624"
    assert term_of("CD16- monocyte").ontology_id != term_of("CD16 monocyte").ontology_id
    assert near_terms("Kupfer cell")[0].id == "CL:0000091"
    with pytest.warns(errors.FreeTextLabelWarning) as caught:
        assert term_of("Kupfer cell").ontology_id is None
    assert "Kupffer cell (CL:0000091)" in caught[0].message.hint


def test_many_decisions_about_cells_are_quick():
    n = 100_000
    adata = anndata.AnnData(np.zeros((n, 1), dtype="f4"))
    adata.obs["louvain"] = pd.Categorical(np.arange(n) % 3)
    cellferry.annotate_clusters(
        adata, {str(i): ["CD79A", "MS4A1", "CD79B"] for i in range(3)}, group_key="louvain",
        progress=False,
    )  # fmt: skip
    made = cellferry.set_labels(adata, "Plasma cell", cells=list(adata.obs_names))
    assert (adata.obs[KEY] == "Plasma cell").all()
    assert sum(row.n_decided for row in made) == n


def test_cells_chosen_on_a_page_are_known_by_their_places():
    import base64

    from cellferry.annotations.decisions.decision import SCHEMA, order_hash
    from page_objects import labelled_cells

    adata = labelled_cells(200, 3)
    chosen = np.zeros(200, dtype=bool)
    chosen[[3, 17, 199]] = True
    mask = base64.b64encode(np.packbits(chosen, bitorder="little").tobytes()).decode()
    entry = {
        "action": "relabelled", "at": "2026-01-01T00:00:00+00:00", "hash": "page",
        "label": "Doublet", "n_cells": 3,
        "cells_at": {"mask": mask, "of": order_hash(adata.obs_names)},
    }  # fmt: skip
    file = {"schema": SCHEMA, "key": "cell_type", "run": None, "decisions": [entry]}
    other = adata[::-1].copy()
    with pytest.raises(cellferry.errors.DecisionsMismatchError, match="3 cells: Doublet"):
        cellferry.apply_decisions(other, file["decisions"])
    cellferry.apply_decisions(adata, file["decisions"])
    assert (adata.obs["cell_type"] == "Doublet").to_numpy().tolist() == chosen.tolist()
    cellferry.apply_decisions(adata, file["decisions"])
    assert len(cellferry.decisions(adata)) == 1


@pytest.mark.parametrize("places", [{"mask": "AA=="}, {"mask": 3, "of": "x"}, "AA=="])
def test_damaged_places_are_refused(places):
    from cellferry.annotations.decisions.decision import Decision

    entry = {"action": "unknown", "at": "", "hash": "", "cells_at": places}
    with pytest.raises(cellferry.errors.DecisionsFormatError, match="cells_at"):
        Decision.from_dict(entry)
