"""Annotated parts in the whole: each cell has what its part says, others what they had."""

import random
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.decisions.decision import names_hash
from cellferry.annotations.labelling.objects import attach
from cellferry.annotations.stored import stored_annotations
from cellferry.errors import (
    CellsUnmatchedWarning,
    ColumnExistsError,
    DecisionsWarning,
    InvalidOptionError,
    LabelsEditedError,
    MergeError,
)
from cellferry.study.clusters import Clusters

LABELS = ["B cell", "T cell", "monocyte", "Kupffer cell", "hepatocyte", "Unknown", None]
ENDS = ["", "_detail", "_confidence", "_ontology_id", "_status"]


def cells(names, clusters=None):
    made = anndata.AnnData(np.zeros((len(names), 1)))
    made.obs_names = list(names)
    if clusters is not None:
        made.obs["leiden"] = pd.Categorical(clusters)
    return made


def labelled(adata, labels, key="cell_type", created="2026-01-01", group="leiden", run=None):
    clusters = Clusters.from_column(adata.obs[group])
    rows = []
    for number, (name, n) in enumerate(clusters.counts().items()):
        label = labels[name]
        status = {None: "failed", "Unknown": "unknown"}.get(label, "ok")
        sure = None if label is None else round(0.1 + 0.01 * number, 3)
        rows.append(
            Annotation(
                name, status, n_cells=n, label=label, confidence=sure,
                confidence_kind=None if sure is None else "graded",
                error="It failed." if label is None else None, justification=f"{created}, {key}",
                supporting=(f"G{name}",),
            )
        )  # fmt: skip
    provenance = {"key": key, "group_key": group, "group_column": group, "created": created}
    markers = {"cluster": list(clusters.names), "gene": [f"G{n}" for n in clusters.names]}
    evidence = {n: {"of": n} for n in clusters.names}
    if run is not None:
        provenance["run"] = run
    attach(adata, Annotations(tuple(rows), evidence, provenance, markers), clusters, key)
    return adata


def whole_and_part(key="cell_type"):
    whole = labelled(cells([f"c{i}" for i in range(6)], list("001122")),
                     {"0": "B cell", "1": "T cell", "2": "monocyte"})  # fmt: skip
    part = whole[["c2", "c3"]].copy()
    part.obs["sub"] = pd.Categorical(["x", "y"])
    labelled(part, {"x": "CD4 T", "y": "CD8 T"}, key, "2026-02-01", "sub")
    return whole, part


def test_a_sub_annotation_goes_back_and_its_parent_stays():
    whole, part = whole_and_part("sub_type")
    found = cellferry.merge_annotations(whole, {"T": part})
    assert list(whole.obs["cell_type"]) == [
        "B cell", "B cell", "CD4 T", "CD8 T", "monocyte", "monocyte"
    ]  # fmt: skip
    assert found["1"].refined_by == "T"
    assert found["1"].label == "T cell"
    assert found.column("cluster") == ["0", "1", "2", "T:x", "T:y"]
    assert list(whole.obs["cell_type_cluster"]) == ["0", "0", "T:x", "T:y", "2", "2"]
    assert "sub_type" not in whole.obs
    kept = cellferry.read_annotations(whole, "cell_type@T")
    assert kept.labels() == {"x": "CD4 T", "y": "CD8 T"}
    now = cellferry.read_annotations(whole)
    assert now.column("n_cells") == [2, 0, 2, 1, 1]
    assert "note" not in now.provenance
    assert cellferry.supporting_markers(whole)["CD4 T"] == ["Gx"]
    assert "T cell" not in cellferry.supporting_markers(whole)
    assert cellferry.markers(whole)["cluster"].tolist() == ["0", "1", "2", "T:x", "T:y"]
    assert found.evidence["T:x"] == {"of": "x"}


def test_the_same_again_changes_nothing():
    whole, part = whole_and_part()
    cellferry.merge_annotations(whole, {"T": part})
    obs, text = whole.obs.copy(), dict(whole.uns["cellferry"])
    cellferry.merge_annotations(whole, {"T": part})
    pd.testing.assert_frame_equal(whole.obs, obs)
    assert dict(whole.uns["cellferry"]) == text


def test_parts_that_are_called_alike_are_told_apart():
    whole, part = whole_and_part()
    other = whole[["c4", "c5"]].copy()
    other.obs["sub"] = pd.Categorical(["x", "x"])
    labelled(other, {"x": "Kupffer cell"}, "mono", "2026-02-01", "sub")
    cellferry.merge_annotations(whole, part)
    found = cellferry.merge_annotations(whole, other)
    assert found.column("cluster")[3:] == ["part1:x", "part1:y", "part1_2:x"]
    again = cellferry.merge_annotations(whole, other)
    assert again.column("cluster") == found.column("cluster")


def test_samples_are_put_together_by_what_their_cells_were_renamed_to():
    a = labelled(cells(["c1", "c2"], ["0", "1"]), {"0": "B cell", "1": "T cell"}, run="r1")
    b = labelled(cells(["c1", "c2", "c3"], ["0", "0", "1"]), {"0": "monocyte", "1": None}, run="r2")
    b_set = cellferry.set_labels(b, {"0": "Kupffer cell"})
    for names, ids in (
        (["A_c1", "A_c2", "B_c1", "B_c2", "B_c3"], ["A", "B"]),
        (["c1_1", "c2_1", "c1_2", "c2_2", "c3_2"], ["_1", "_2"]),
        (["c1-0", "c2-0", "c1-1", "c2-1", "c3-1"], ["-0", "-1"]),
        (["c1", "c2", "x.c1", "x.c2", "x.c3"], ["", "x."]),
    ):
        whole = cells(names)
        if ids[0]:
            with pytest.raises(MergeError) as caught:
                cellferry.merge_annotations(whole, {"a": a, "b": b})
            assert caught.value.data["ids"] == ids
            assert f'add_cell_ids=["{ids[0]}", "{ids[1]}"]' in str(caught.value)
        found = cellferry.merge_annotations(whole, {"a": a, "b": b}, add_cell_ids=ids)
        obs = whole.obs
        assert obs["cell_type"].astype(object).where(obs["cell_type"].notna(), None).tolist() == [
            "B cell", "T cell", "Kupffer cell", "Kupffer cell", None
        ]  # fmt: skip
        assert obs["cell_type_status"].tolist() == ["ok", "ok", "ok", "ok", "failed"]
        assert found.column("cluster") == ["a:0", "a:1", "b:0", "b:1"]
        (decision,) = found.decisions
        assert decision.id == b_set.decisions[0].id
        assert decision.hash == names_hash(names[2:4])
        assert decision.clusters == ("b:0",)
        assert decision.origin.startswith("b, cells renamed to ")
        # In force on exactly these cells in a later labelling.
        whole.obs["later"] = pd.Categorical(list("ppqqp"))
        labelled(whole, {"p": "hepatocyte", "q": "hepatocyte"}, group="later")
        assert whole.obs["cell_type"].tolist() == [
            "hepatocyte", "hepatocyte", "Kupffer cell", "Kupffer cell", "hepatocyte"
        ]  # fmt: skip
        assert "cell_type_cluster" not in whole.obs


def test_cells_that_do_not_fit_are_counted_or_refused():
    whole, part = whole_and_part()
    part = anndata.concat([part], merge="same")
    other = labelled(cells(["c0", "z1", "z2"], ["0", "0", "0"]), {"0": "NK cell"})
    with pytest.warns(CellsUnmatchedWarning, match='2 cells of 3 of the part "o"'):
        cellferry.merge_annotations(whole, {"o": other})
    assert whole.obs["cell_type"].tolist()[:2] == ["NK cell", "B cell"]
    with pytest.raises(MergeError, match="None of the 2 cells"):
        cellferry.merge_annotations(
            whole, labelled(cells(["y1", "y2"], ["0", "0"]), {"0": "NK cell"})
        )
    with pytest.raises(MergeError, match="no annotations"):
        cellferry.merge_annotations(whole, part)
    with pytest.raises(MergeError, match="none of its own"):
        cellferry.merge_annotations(whole, whole[:2].copy())
    with pytest.raises(InvalidOptionError, match="1 entry for 2 parts"):
        cellferry.merge_annotations(whole, [other, other], add_cell_ids=["a"])
    with pytest.raises(MergeError, match='is in the object as "q_c0"'):
        cellferry.merge_annotations(whole, other, add_cell_ids="q")


def test_two_parts_that_say_different_things_of_a_cell_are_refused():
    whole = cells(["c1", "c2", "c3"])
    one = labelled(cells(["c1", "c2"], ["0", "0"]), {"0": "B cell"})
    other = labelled(cells(["c2", "c3"], ["0", "0"]), {"0": "T cell"})
    with pytest.raises(MergeError, match='1 cell has different labels in two parts: "c2" is "B'):
        cellferry.merge_annotations(whole, {"one": one, "other": other})
    assert list(whole.obs.columns) == []
    same = labelled(cells(["c2", "c3"], ["0", "0"]), {"0": "B cell"})
    cellferry.merge_annotations(whole, {"one": one, "same": same})
    assert whole.obs["cell_type"].tolist() == ["B cell"] * 3


def test_edits_by_hand_are_never_replaced_unasked():
    whole, part = whole_and_part()
    edited = whole.copy()
    edited.obs["cell_type"] = edited.obs["cell_type"].astype(object)
    edited.obs.loc["c2", "cell_type"] = "mine"
    with pytest.raises(LabelsEditedError, match="1 cell of the parts"):
        cellferry.merge_annotations(edited, part)
    edited = whole.copy()
    edited.obs["cell_type"] = edited.obs["cell_type"].astype(object)
    edited.obs.loc["c0", "cell_type"] = "mine"
    cellferry.merge_annotations(edited, part)
    assert edited.obs["cell_type"].tolist()[0] == "mine"
    with pytest.raises(LabelsEditedError):
        cellferry.annotations.labelling.edited.check_unedited(
            cellferry.annotations.labelling.objects.stored_labels(edited, "cell_type")
        )
    part.obs["cell_type"] = "other"
    with pytest.raises(MergeError, match='of the part "part1" have another label'):
        cellferry.merge_annotations(whole, part)


def test_foreign_columns_are_kept():
    part = labelled(cells(["c1"], ["0"]), {"0": "B cell"})
    whole = cells(["c1", "c2"])
    whole.obs["cell_type"] = ["mine", "mine"]
    with pytest.raises(ColumnExistsError):
        cellferry.merge_annotations(whole, part)
    cellferry.merge_annotations(whole, part, key="from_part")
    assert whole.obs["from_part"].tolist()[0] == "B cell"


def test_labels_without_a_record_stay_with_rows_of_their_own():
    a = labelled(cells(["a1", "a2"], ["0", "1"]), {"0": "B cell", "1": "T cell"})
    b = labelled(cells(["b1", "b2"], ["0", "1"]), {"0": "B cell", "1": None})
    whole = anndata.concat([a, b])
    before = whole.obs.copy()
    with pytest.warns(CellsUnmatchedWarning, match="2 cells in no part have labels"):
        cellferry.merge_annotations(whole, {"a": a})
    for end in ENDS:
        assert whole.obs["cell_type" + end].astype(str).tolist() == (
            before["cell_type" + end].astype(str).tolist()
        )
    now = cellferry.read_annotations(whole)
    assert now.column("n_cells") == [1, 1, 1, 1]
    assert "note" not in now.provenance


def test_a_persons_decision_about_cells_is_withdrawn_openly():
    whole, part = whole_and_part("sub")
    cellferry.set_labels(whole, "Kupffer cell", cells=["c2", "c4"])
    with pytest.warns(DecisionsWarning, match="1 cell that somebody decided about"):
        found = cellferry.merge_annotations(whole, {"T": part})
    assert whole.obs["cell_type"].tolist()[2:5] == ["CD4 T", "CD8 T", "Kupffer cell"]
    assert [d.action for d in found.decisions] == ["relabelled", "withdrawn"]


def test_labels_of_cells_are_merged_by_label():
    whole = cells([f"c{i}" for i in range(4)])

    def of_cells(names, labels):
        part = cells(names)
        part.obs["cell"] = pd.Categorical(labels)
        labelled(part, dict(zip(labels, labels, strict=True)), "cell_type_cell", group="cell")
        record = stored_annotations(part)
        record = Annotations(
            record.rows, {}, {**record.provenance, "level": "cells", "group_column": "x"}
        )
        part.uns["cellferry"] = {"cell_type_cell": record.to_json()}
        return part

    one = of_cells(["c0", "c1"], ["B cell", "T cell"])
    other = of_cells(["c2", "c3"], ["T cell", "NK cell"])
    found = cellferry.merge_annotations(whole, [one, other])
    assert found.labels() == {"B cell": "B cell", "T cell": "T cell", "NK cell": "NK cell"}
    assert found.column("n_cells") == [1, 2, 1]
    assert whole.obs["cell_type_cell"].tolist() == ["B cell", "T cell", "T cell", "NK cell"]
    clusters = labelled(cells(["c0"], ["0"]), {"0": "B cell"})
    with pytest.raises(MergeError, match="labels of clusters"):
        cellferry.merge_annotations(whole, clusters, key="cell_type_cell")


def decide(rng, adata):
    for _ in range(rng.randrange(3)):
        if rng.random() < 0.5:
            names = rng.sample(list(adata.obs_names), min(adata.n_obs, rng.randint(1, 3)))
            cellferry.set_labels(adata, rng.choice(LABELS[:6]), cells=names)
        else:
            record = cellferry.read_annotations(adata)
            clusters = [r.cluster for r in record if r.n_cells]
            if clusters:
                cellferry.set_labels(adata, {rng.choice(clusters): rng.choice(LABELS[:6])})


def annotated(rng, adata, key, group, created):
    k = rng.randint(1, 4)
    adata.obs[group] = pd.Categorical([str(rng.randrange(k)) for _ in range(adata.n_obs)])
    labelled(adata, {str(i): rng.choice(LABELS) for i in range(k)}, key, created, group)
    decide(rng, adata)


def columns(obs, key):
    ends = [*ENDS, "_decision"]
    empty = pd.Series(index=obs.index, dtype=object)
    table = pd.DataFrame({end: obs.get(key + end, empty).astype(object) for end in ends})
    return table.where(table.notna(), None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(60))
def test_every_cell_of_a_part_has_what_the_part_says_and_all_others_what_they_had(seed):
    rng = random.Random(seed)
    names = [f"c{i}" for i in range(rng.randint(6, 40))]
    n_parts = rng.randint(1, 3)
    style = rng.choice(["same", "before", "after"])
    homes = [rng.randrange(n_parts + 1) for _ in names]
    ids = [f"s{i}" for i in range(n_parts)] if style == "before" else None
    ids = [f"-{i}" for i in range(n_parts)] if style == "after" else ids

    def renamed(name, home):
        if ids is None or home == n_parts:
            return name
        return f"{ids[home]}_{name}" if style == "before" else f"{name}{ids[home]}"

    whole = cells([renamed(n, h) for n, h in zip(names, homes, strict=True)])
    has_own = rng.random() < 0.6
    if has_own:
        annotated(rng, whole, "cell_type", "leiden", "2026-01-01")
    parts = {}
    for home in range(n_parts):
        own = [n for n, h in zip(names, homes, strict=True) if h == home]
        if not own:
            return
        rng.shuffle(own)
        if style == "same" and has_own and rng.random() < 0.7:
            part = whole[own].copy()
        else:
            part = cells(own)
        key = rng.choice(["cell_type", "sub_type"])
        annotated(rng, part, key, "sub", f"2026-02-0{home + 1}")
        if rng.random() < 0.3 and part.n_obs > 3:
            part = part[rng.sample(list(part.obs_names), part.n_obs // 2)].copy()
        parts[f"p{home}"] = (part, key)
    before = columns(whole.obs, "cell_type")
    given = {name: part for name, (part, _) in parts.items()}
    found = cellferry.merge_annotations(whole, given, add_cell_ids=ids, key="cell_type")
    after = columns(whole.obs, "cell_type")
    left = set(whole.obs_names)
    for home, (part, key) in enumerate(parts.values()):
        wanted = columns(part.obs, key)
        wanted.index = [renamed(n, home) for n in part.obs_names]
        pd.testing.assert_frame_equal(after.loc[wanted.index], wanted, check_names=False)
        left -= set(wanted.index)
    rest = [n for n in whole.obs_names if n in left]
    pd.testing.assert_frame_equal(after.loc[rest], before.loc[rest])
    # What the table says of a row is what its cells have.
    with warnings.catch_warnings():
        warnings.simplefilter("error", cellferry.errors.ClustersChangedWarning)
        now = cellferry.read_annotations(whole, "cell_type")
    of_rows = whole.obs["cell_type_cluster"].value_counts()
    assert {r.cluster: r.n_cells for r in now} == {
        r.cluster: int(of_rows.get(r.cluster, 0)) for r in now
    }
    hand = {c for d in found.decisions if d.of_cells for c in d.cells}
    for name, row in zip(whole.obs_names, whole.obs["cell_type_cluster"], strict=True):
        if isinstance(row, str) and name not in hand:
            assert after.loc[name, ""] == now[row].label
    known = {d.id for d in found.decisions}
    for home, (part, key) in enumerate(parts.values()):
        own = stored_annotations(part, key)
        groups = dict(zip(part.obs_names, part.obs["sub"].astype(str), strict=True))
        for decision in own.decisions:
            there = not decision.of_cells or set(decision.cells) & set(part.obs_names)
            assert not there or decision.id in known
            if ids is not None and decision.clusters:
                (moved,) = [d for d in found.decisions if d.id == decision.id]
                assert moved.hash == names_hash(
                    renamed(n, home) for n, g in groups.items() if g in decision.clusters
                ) or not any(g in decision.clusters for g in groups.values())
    # Again, it changes nothing.
    text = dict(whole.uns["cellferry"])
    cellferry.merge_annotations(whole, given, add_cell_ids=ids, key="cell_type")
    pd.testing.assert_frame_equal(columns(whole.obs, "cell_type"), after)
    assert dict(whole.uns["cellferry"]) == text
