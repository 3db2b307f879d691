"""Subclusters within the labels of whole clusters: only they are asked, nothing else changes."""

import random
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import cellferry
from cellferry import errors
from cellferry.annotations.clusters import UNKNOWN, Annotation, Annotations
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.base import Capabilities, Plan
from cellferry.study.clusters import Clusters
from cellferry.study.parents import split

B = ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]
T = ["CD3D", "CD3E", "CD3G", "TRAC", "IL7R"]
MONO = ["LYZ", "CD14", "S100A8", "S100A9", "FCN1"]
NK = ["GNLY", "NKG7", "KLRD1", "KLRF1", "FCGR3A"]
CD8 = ["CD8A", "CD8B", "GZMK", "CCL5"]
GENES = [*B, *T, *MONO, *NK, *CD8, *(f"AC{i}.1" for i in range(5))]
COLUMNS = [f"cell_type{end}" for end in ("", "_detail", "_confidence", "_ontology_id", "_status")]


class Scripted:
    """Answers clusters with the labels that it was given, and knows what it was asked."""

    name = "local"

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.saw = None

    @property
    def capabilities(self):
        return Capabilities(sends=frozenset({"markers"}))

    def describe(self):
        return {}

    def plan(self, study):
        return Plan(self.name, len(study.clusters.names), calls=len(study.clusters.names))

    def run(self, study, run, events):
        self.asked += study.clusters.names
        self.saw = study
        rows = [self.answer(name) for name in study.clusters.names]
        return Annotations(tuple(rows), {name: {"n": 1} for name in study.clusters.names})

    def answer(self, cluster):
        label = self.answers[cluster]
        if label is None:
            return Annotation(cluster, "failed", error="The model was silent.")
        if label == UNKNOWN:
            return Annotation(cluster, "unknown", label=UNKNOWN)
        match = cell_ontology().find(label)
        term = match.term.id if match else None
        return Annotation(
            cluster, "ok", label=label, ontology_id=term, confidence=0.5, confidence_kind="graded"
        )


def made_of(parts, seed=0):
    """Return cells, of which each part expresses some genes: [(cluster, subcluster, n, genes)]."""
    rng = np.random.default_rng(seed)
    blocks, leiden, sub = [], [], []
    for cluster, part, n, genes in parts:
        x = rng.poisson(0.1, (n, len(GENES))).astype(float)
        at = [GENES.index(g) for g in genes]
        x[:, at] += rng.poisson(6, (n, len(at)))
        blocks.append(x)
        leiden += [cluster] * n
        sub += [part] * n
    x = np.vstack(blocks)
    x = np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e4)
    adata = anndata.AnnData(sparse.csr_matrix(x), var=pd.DataFrame(index=GENES))
    adata.obs_names = [f"c{i}" for i in range(len(x))]
    adata.obs["leiden"] = pd.Categorical(leiden)
    adata.obs["sub"] = pd.Categorical(sub)
    return adata


def blood(sep=","):
    return made_of([
        ("0", "0", 30, B), ("1", f"1{sep}0", 20, T), ("1", f"1{sep}1", 20, T + CD8),
        ("1", f"1{sep}2", 20, NK), ("2", "2", 30, MONO),
    ])  # fmt: skip


def labelled(adata=None, answers=None):
    adata = blood() if adata is None else adata
    answers = answers or {"0": "B cell", "1": "T cell", "2": "monocyte"}
    cellferry.annotate_clusters(adata, engine=Scripted(answers), group_key="leiden", progress=False)
    return adata


def within(adata, answers, **options):
    engine = Scripted(answers)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cellferry.annotate_clusters(
            adata, engine=engine, group_key="sub", within="cell_type", progress=False, **options
        )
    said = [w.message for w in caught if isinstance(w.message, errors.CellferryWarning)]
    return found, engine, said


FINER = {"1,0": "CD4-positive, alpha-beta T cell", "1,1": "CD8-positive, alpha-beta T cell"}
ANSWERS = {**FINER, "1,2": "natural killer cell"}


@pytest.mark.parametrize("name", ["3_0", "3,0", "3-0", "3.0", "3:10"])
def test_parts_are_known_by_their_name_where_cells_have_moved(name):
    now = Clusters.from_labels(["0"] * 3 + [name] * 5)
    before = Clusters.from_labels(["0"] * 4 + ["3"] * 4)
    assert split(now, before) == ({"0": "0"}, {name: "3"}) or split(now, before)[1][name] == "3"


def test_parts_are_known_by_their_cells_whatever_they_are_called():
    now = Clusters.from_labels(["a", "b", "c", "c", None])
    before = Clusters.from_labels(["0", "0", "1", "1", "1"])
    assert split(now, before) == ({"c": "1"}, {"a": "0", "b": "0"})


def test_a_cluster_of_several_has_no_parent_and_neither_has_one_of_new_cells():
    now = Clusters.from_labels(["ab", "ab", "new", "0_1"])
    before = Clusters.from_labels(["0", "1", None, "1"])
    assert split(now, before) == ({}, {"ab": None, "new": None, "0_1": "1"})


@pytest.mark.parametrize("sep", [",", "_"])
def test_only_parts_are_asked_and_the_others_keep_what_they_have(sep):
    adata = labelled(blood(sep))
    before = cellferry.read_annotations(adata)
    kept = adata.obs[COLUMNS].copy()
    found, engine, _ = within(adata, {k.replace(",", sep): v for k, v in ANSWERS.items()})
    assert engine.asked == [f"1{sep}0", f"1{sep}1", f"1{sep}2"]
    assert engine.saw.markers.clusters == tuple(engine.asked)
    assert (engine.saw.clusters.codes < 0).sum() == 60
    assert [row.cluster for row in found] == ["0", *engine.asked, "2"]
    for name in ("0", "2"):
        assert found[name] == before[name]
        assert found.evidence[name] == before.evidence[name]
    outside = adata.obs["leiden"].isin(["0", "2"])
    pd.testing.assert_frame_equal(
        adata.obs.loc[outside, COLUMNS].astype(object), kept[outside].astype(object)
    )
    assert adata.obs["cell_type"][adata.obs["sub"] == f"1{sep}1"].unique() == [FINER["1,1"]]


def test_both_tables_of_markers_are_in_the_record():
    adata = labelled()
    found, _, _ = within(adata, ANSWERS)
    stored = cellferry.read_annotations(adata, "cell_type")
    rest = [g for c, g in zip(stored.markers["cluster"], stored.markers["gene"], strict=True)
            if c == "1,1"]  # fmt: skip
    sisters = stored.evidence["1,1"]["markers_within"]
    assert {"CD3D", "CD8A"} <= set(rest)
    # Against NK cells and other T cells.
    assert "CD8A" in sisters["gene"]
    assert sisters["avg_log2FC"][sisters["gene"].index("CD8A")] > 1
    assert {"pct.1", "pct.2", "p_val_adj"} <= set(sisters)
    assert set(stored.markers["cluster"]) == {"0", "1,0", "1,1", "1,2", "2"}
    assert found.provenance["within"]["of"] == {"1,0": "1", "1,1": "1", "1,2": "1"}


def test_an_answer_that_is_no_kind_of_the_label_says_so():
    adata = labelled()
    found, _, said = within(adata, ANSWERS)
    row = found["1,2"]
    assert row.label == "natural killer cell"
    assert row.attention == ("contradicts_parent",)
    assert 'contradicts "T cell", the label of the whole cluster "1"' in row.justification
    assert [type(w) for w in said] == [errors.WithinWarning]
    assert str(said[0]) == (
        "1 answer is no kind of the label of the whole cluster: "
        '"1,2" is natural killer cell, and was T cell.\n'
        "Look at them: either the whole was wrong, or the part is something else in it."
    )
    assert found.evidence["1,2"]["within"]["relation"] == "contradicts"
    assert found["1,0"].attention == ()


@pytest.mark.parametrize(
    ("answer", "confidence"), [("lymphocyte", None), ("T cell", 0.5), (UNKNOWN, None)]
)
def test_an_answer_that_says_nothing_finer_leaves_the_label(answer, confidence):
    adata = labelled()
    found, _, said = within(adata, {**FINER, "1,2": answer})
    row = found["1,2"]
    assert (row.label, row.status, row.ontology_id) == ("T cell", "ok", "CL:0000084")
    assert row.detail == f"nothing finer: {answer}"
    assert row.confidence == confidence
    assert said == []


def test_a_part_without_an_answer_has_none():
    adata = labelled()
    found, _, _ = within(adata, {**FINER, "1,2": None})
    assert (found["1,2"].status, found["1,2"].label) == ("failed", None)
    assert adata.obs["cell_type"][adata.obs["sub"] == "1,2"].isna().all()


@pytest.mark.parametrize("whole", [UNKNOWN, None])
def test_a_label_that_is_not_known_restricts_nothing(whole):
    adata = labelled(answers={"0": "B cell", "1": whole, "2": "monocyte"})
    found, _, said = within(adata, ANSWERS)
    assert [found[c].label for c in ANSWERS] == list(ANSWERS.values())
    assert said == []


def test_the_label_of_a_person_counts_and_what_is_finer_takes_its_place():
    adata = labelled(answers={"0": "B cell", "1": "monocyte", "2": "monocyte"})
    cellferry.set_labels(adata, {"1": "T cell", "2": "macrophage"}, by="A")
    found, _, said = within(adata, {**ANSWERS, "1,0": "lymphocyte"})
    labels = {row.cluster: (row.label, row.decision, row.engine_label) for row in found}
    assert labels["2"] == ("macrophage", "relabelled", "monocyte")
    assert labels["1,1"] == (FINER["1,1"], None, None)
    # Nothing finer, and a contradiction: what the person said stays in force.
    assert labels["1,0"] == ("T cell", "relabelled", "T cell")
    assert labels["1,2"] == ("T cell", "relabelled", "natural killer cell")
    assert "contradicts_parent" in found["1,2"].attention
    assert [type(w) for w in said] == [errors.WithinWarning]
    assert '"1,2" is natural killer cell' in str(said[0])
    assert [d.clusters for d in found.decisions] == [("1,0", "1,2"), ("2",)]
    decided = adata.obs.groupby("sub", observed=True)["cell_type_decision"].first()
    assert dict(decided.dropna()) == dict.fromkeys(("1,0", "1,2", "2"), "relabelled")


def test_a_decision_that_gave_way_is_said_and_holds_again_for_the_whole():
    adata = labelled()
    cellferry.set_labels(adata, {"1": "T cell"})
    finer = {**FINER, "1,2": "gamma-delta T cell"}
    found, _, said = within(adata, finer)
    assert [d.stale for d in found.decisions] == [True]
    assert [type(w) for w in said] == [errors.DecisionsWarning]
    assert {row.decision for row in found} == {None}
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellferryWarning)
        again = cellferry.annotate_clusters(
            adata, engine=Scripted({"0": "B cell", "1": "monocyte", "2": "monocyte"}),
            group_key="leiden", progress=False,
        )  # fmt: skip
    assert (again["1"].label, again["1"].decision) == ("T cell", "accepted")


def test_a_label_without_a_term_is_not_compared():
    adata = labelled()
    with pytest.warns(errors.FreeTextLabelWarning):
        cellferry.set_labels(adata, {"1": "my own type"})
    found, _, said = within(adata, ANSWERS)
    assert {found.evidence[c]["within"]["relation"] for c in ANSWERS} == {"not_compared"}
    assert {found[c].label for c in ANSWERS} == {"my own type"}
    assert {found[c].engine_label for c in ANSWERS} == set(ANSWERS.values())
    assert said == []


def test_another_key_leaves_the_earlier_labels_and_goes_on_with_decisions():
    adata = labelled()
    cellferry.set_labels(adata, {"2": "macrophage"})
    before = adata.obs["cell_type"].copy()
    found, _, _ = within(adata, ANSWERS, key="finer")
    # The table that is returned is of the columns that were written, not of the earlier ones.
    written = cellferry.read_annotations(adata, "finer").provenance["columns"]
    assert found.provenance["columns"] == written
    assert written[0] == "finer"
    pd.testing.assert_series_equal(adata.obs["cell_type"], before)
    assert (found["2"].label, found["2"].decision) == ("macrophage", "relabelled")
    assert adata.obs["finer"][adata.obs["leiden"] == "2"].unique() == ["macrophage"]
    assert set(adata.uns["cellferry"]) == {"cell_type", "finer"}
    # Those of its own key stay too.
    cellferry.set_labels(adata, {"1,2": "NK cell"}, key="finer")
    again, _, _ = within(adata, ANSWERS, key="finer", overwrite=True)
    assert {r.cluster: r.decision for r in again if r.decision} == {
        "1,2": "relabelled", "2": "relabelled",
    }  # fmt: skip


def test_labels_of_somebody_else_are_labels_too():
    adata = blood()
    names = {"0": "B cells", "1": "T cells", "2": "something"}
    adata.obs["theirs"] = adata.obs["leiden"].map(names).astype("category")
    engine = Scripted(ANSWERS)
    with pytest.warns(errors.WithinWarning):
        found = cellferry.annotate_clusters(
            adata, engine=engine, group_key="sub", within="theirs", progress=False
        )
    assert list(engine.asked) == list(ANSWERS)
    assert found.provenance["key"] == "cell_type"
    assert (found["0"].label, found["0"].ontology_id) == ("B cells", "CL:0000236")
    assert (found["2"].label, found["2"].ontology_id) == ("something", None)
    assert found["0"].engine == "given"
    assert found["1,2"].attention == ("contradicts_parent",)
    assert list(adata.obs["theirs"].cat.categories) == ["B cells", "T cells", "something"]


def test_cells_without_a_cluster_have_no_label():
    adata = labelled()
    sub = adata.obs["sub"].astype(object)
    sub.iloc[[0, 35, 119]] = None
    adata.obs["sub"] = pd.Categorical(sub)
    found, engine, said = within(adata, ANSWERS)
    assert engine.asked == list(ANSWERS)
    assert [type(w) for w in said][:1] == [errors.CellsWithoutClusterWarning]
    empty = adata.obs["cell_type"].isna()
    assert list(np.flatnonzero(empty)) == [0, 35, 119]
    assert found["0"].n_cells == 29


def test_a_cluster_of_several_is_annotated_alone_and_that_is_said():
    adata = labelled()
    adata.obs["sub"] = adata.obs["sub"].cat.rename_categories({"0": "x"}).astype(object)
    adata.obs.loc[adata.obs["leiden"] == "2", "sub"] = "x"
    found, engine, said = within(adata, {**ANSWERS, "x": "B cell"})
    assert set(engine.asked) == {*ANSWERS, "x"}
    assert found["x"].attention == ("no_parent",)
    assert any(str(w).startswith('"x" is no part of one earlier cluster') for w in said)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"within": "cell_typ"}, errors.GroupMissingError, 'Did you mean "cell_type"?'),
        ({"within": "sub"}, errors.InvalidOptionError, "are the same column"),
        ({"group_key": "leiden"}, errors.InvalidOptionError, "there is nothing to annotate"),
        ({"group_key": "other"}, errors.InvalidOptionError, "is a part of one of"),
    ],
)
def test_what_is_no_subclustering_is_refused_before_any_cost(options, error, words):
    adata = labelled()
    adata.obs["other"] = pd.Categorical(["a", "b"] * 60)
    engine = Scripted({})
    before = adata.obs.copy()
    given = {"group_key": "sub", "within": "cell_type", **options}
    with pytest.raises(error, match=words.replace("?", r"\?")):
        cellferry.annotate_clusters(adata, engine=engine, progress=False, **given)
    assert engine.asked == []
    pd.testing.assert_frame_equal(adata.obs, before)


def test_a_marker_table_has_no_earlier_labels():
    with pytest.raises(errors.UnsupportedObjectError, match="no cells"):
        cellferry.annotate_clusters({"a": ["CD3D"]}, within="cell_type", progress=False)


def test_the_plan_is_of_the_parts():
    adata = labelled()
    options = {"group_key": "sub", "within": "cell_type", "dry_run": True}
    plan = cellferry.annotate_clusters(adata, engine=Scripted({}), **options)
    assert (plan.clusters, plan.calls) == (3, 3)
    assert cellferry.annotate_clusters(adata, **options).clusters == 3


def test_a_run_that_was_stopped_is_finished_within():
    adata = labelled()

    class Stops(Scripted):
        def run(self, study, run, events):
            raise errors.ServiceError("gone", "")

    with pytest.raises(errors.ServiceError) as caught:
        cellferry.annotate_clusters(
            adata, engine=Stops({}), group_key="sub", within="cell_type", progress=False
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.WithinWarning)
        # By the embedded engine, whose name it has.
        found = cellferry.resume(caught.value.data["run"], adata, progress=False)
    assert [row.cluster for row in found] == ["0", "1,0", "1,1", "1,2", "2"]
    assert found["0"] == cellferry.read_annotations(adata)["0"]
    assert "within" in found.evidence["1,0"]
    assert adata.obs["cell_type"].notna().all()


def test_decisions_about_the_whole_hold_in_a_run_of_another_key_that_is_resumed():
    straight, adata = labelled(), labelled()
    for one in (straight, adata):
        cellferry.set_labels(one, {"0": "Plasma cell"}, by="AB")
        cells = list(one.obs_names[one.obs["leiden"] == "2"][:3])
        cellferry.set_labels(one, "NK cell", cells=cells)
    within(straight, ANSWERS, key="finer")

    class Stops(Scripted):
        def run(self, study, run, events):
            raise errors.ServiceError("gone", "")

    given = {"group_key": "sub", "within": "cell_type", "key": "finer"}
    with pytest.raises(errors.ServiceError) as caught:
        cellferry.annotate_clusters(adata, engine=Stops({}), progress=False, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.CellferryWarning)
        cellferry.resume(caught.value.data["run"], adata, progress=False)
    outside = adata.obs["leiden"].isin(["0", "2"])
    columns = ["finer", "finer_status", "finer_decision"]
    found, expected = (x.obs.loc[outside, columns].astype(str) for x in (adata, straight))
    pd.testing.assert_frame_equal(found, expected)
    assert set(found["finer"]) == {"Plasma cell", "NK cell", "monocyte"}
    for key in ("state", "by", "label"):
        assert (
            cellferry.decisions(adata, "finer")[key].tolist()
            == cellferry.decisions(straight, "finer")[key].tolist()
        )


def test_the_embedded_engine_finds_what_is_in_a_cluster():
    adata = blood()
    cellferry.annotate_clusters(adata, group_key="leiden", tissue="blood", progress=False)
    cellferry.set_labels(adata, {"1": "lymphocyte", "2": "macrophage"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.CellferryWarning)
        found = cellferry.annotate_clusters(
            adata, group_key="sub", within="cell_type", tissue="blood", progress=False
        )
    assert found["2"].label == "macrophage"
    ontology = cell_ontology()
    for name in ("1,0", "1,1", "1,2"):
        assert ontology.is_a(found[name].ontology_id, "CL:0000542")
    assert found["1,2"].label == "NK cell"
    assert "T" in found["1,1"].label


def test_a_comparable_kind_of_the_label_is_taken_by_the_embedded_engine():
    class Ranks(Scripted):
        def run(self, study, run, events):
            found = super().run(study, run, events)
            for name in study.clusters.names:
                one = {"name": "NK cell", "fit": 0.5, "own_fit": 0.4, "genes": {"NKG7": 1.0}}
                two = {"name": "gamma delta T cell", "fit": self.fit, "own_fit": 0.3,
                       "genes": {"TRDC": 0.5, "CD3D": 0.9}}  # fmt: skip
                found.evidence[name] = {"fit": 0.5, "candidates": [one, two]}
            return found

    for fit, label in ((0.41, "gamma delta T cell"), (0.39, "natural killer cell")):
        adata = labelled()
        engine = Ranks({**FINER, "1,2": "natural killer cell"})
        engine.fit = fit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.WithinWarning)
            found = cellferry.annotate_clusters(
                adata, engine=engine, group_key="sub", within="cell_type", progress=False
            )
        row = found["1,2"]
        assert row.label == label
        if fit > 0.4:
            assert (row.ontology_id, row.confidence) == ("CL:0000798", None)
            assert row.supporting == ("CD3D", "TRDC")
            assert row.alternatives[0] == "natural killer cell"
            assert row.attention == ()


KINDS = ["B cell", "T cell", "monocyte", "natural killer cell", "lymphocyte", "regulatory T cell",
         "CD4-positive, alpha-beta T cell", UNKNOWN, "my own type", None]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_split_nothing_else_changes(seed):
    rng = random.Random(seed)
    n, k = 60, rng.randint(2, 5)
    x = np.log1p(np.random.default_rng(seed).random((n, 6)) * 9)
    adata = anndata.AnnData(x, var=pd.DataFrame(index=GENES[:6]))
    adata.obs_names = [f"c{i}" for i in range(n)]
    leiden = [str(i % k) if i < 2 * k else str(rng.randrange(k)) for i in range(n)]
    adata.obs["leiden"] = pd.Categorical(leiden)
    markers = {str(i): rng.sample(GENES, 5) for i in range(k)}
    wholes = {str(i): rng.choice(KINDS) for i in range(k)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.CellferryWarning)
        cellferry.annotate_clusters(
            adata, markers, engine=Scripted(wholes), group_key="leiden", progress=False
        )
        for i in range(k):
            if rng.random() < 0.4:
                label = rng.choice(["T cell", "macrophage", "my own type", UNKNOWN])
                cellferry.set_labels(adata, {str(i): label})
        if rng.random() < 0.5:
            cellferry.set_labels(adata, "neuron", cells=rng.sample(list(adata.obs_names), 3))
    chosen = rng.sample(range(k), rng.randint(1, k))
    # Untouched clusters may have other names.
    name = {str(i): rng.choice([str(i), f"new{i}"]) for i in range(k)}
    sub = [f"{c}_{rng.randrange(3)}" if int(c) in chosen else name[c] for c in leiden]
    for i in chosen:
        at = [j for j, c in enumerate(leiden) if c == str(i)]
        sub[at[0]], sub[at[1]] = f"{i}_0", f"{i}_1"
    adata.obs["sub"] = pd.Categorical(sub)
    before, record = adata.obs.copy(), cellferry.read_annotations(adata)
    parts = sorted({s for s, c in zip(sub, leiden, strict=True) if int(c) in chosen})
    answers = {part: rng.choice(KINDS) for part in parts}
    table = {s: rng.sample(GENES, 5) for s in set(sub)}
    found, engine, _ = within(adata, answers, markers=table)
    assert sorted(engine.asked) == parts
    outside = np.array([int(c) not in chosen for c in leiden])
    columns = [c for c in before.columns if c.startswith("cell_type")]
    for column in columns:
        had = [str(v) for v in before[column][outside]]
        now = [str(v) for v in adata.obs[column][outside]] if column in adata.obs else None
        assert (now or ["nan"] * len(had)) == had, column
    for c in sorted(set(leiden)):
        if int(c) in chosen:
            continue
        old, new = record[c], found[name[c]]
        fields = [f for f in old.__dataclass_fields__ if f != "cluster"]
        assert {f: getattr(old, f) for f in fields} == {f: getattr(new, f) for f in fields}
        assert found.evidence.get(name[c]) == record.evidence.get(c)
    assert {d.id for d in record.decisions} == {d.id for d in found.decisions}
    ontology = cell_ontology()
    for part in parts:
        row, above = found[part], record[part.split("_")[0]]
        if row.status != "ok" or above.status != "ok" or row.decision is not None:
            continue
        terms = [r.ontology_id for r in (row, above)]
        if None not in terms and not ontology.is_a(*terms):
            assert "contradicts_parent" in row.attention
