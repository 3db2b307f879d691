"""Votes of annotators: shares of clusters, levels of one tool, groups; and the rows they become."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cellferry.annotations.agreement.columns import tool_columns
from cellferry.annotations.agreement.consensus import of_cells, of_clusters
from cellferry.annotations.agreement.request import consensus_of_tables
from cellferry.annotations.agreement.sources import family
from cellferry.annotations.agreement.terms import Resolver
from cellferry.annotations.agreement.votes import Votes, finest, read, shares, vocabulary
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.texts import Texts
from cellferry.biology.ontology import cell_ontology

RESOLVER = Resolver()
cell_ontology().kinds("CL:0000000")  # counted once: it takes longer than a test may
LABELS = [
    "T cell", "CD4 T cell", "CD8 T cell", "Naive CD4 T cell", "B cell", "Naive B cell", "NK cells",
    "Monocyte", "Classical monocytes", "Leukocyte", "Fibroblast", "Mystery", "mysteries",
    "Unknown", None,
]  # fmt: skip


def votes(name, labels, group=None, confidence=None):
    texts, terms = read(Texts.of(labels), None, RESOLVER)
    sure = None if confidence is None else np.array(confidence, dtype=float)
    return Votes(name, group or name, texts, terms, sure)


columns_of_labels = st.integers(1, 12).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from(LABELS), min_size=n, max_size=n), min_size=1, max_size=5
    )
)


@settings(deadline=None)
@given(columns_of_labels, st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_cells_are_answered_as_clusters_of_one_cell_are(columns, families):
    several = [
        votes(f"v{i}", c, f"g{g}") for i, (c, g) in enumerate(zip(columns, families, strict=False))
    ]
    n = len(columns[0])
    names = [str(i) for i in range(n)]
    of_rows = of_clusters(several, np.arange(n), names)
    cells = of_cells(several, names).to_frame()
    for i, row in enumerate(of_rows):
        assert cells["status"].iloc[i] == row.status
        if of_rows.evidence[row.cluster]["n_groups"] > 1:
            assert cells["label"].iloc[i] == row.label
            sure = cells["confidence"].iloc[i]
            assert (np.isnan(sure) and row.confidence is None) or sure == row.confidence
        assert tuple(cells["alternatives"].iloc[i]) == row.alternatives or row.status == "ok"


@settings(deadline=None)
@given(columns_of_labels, st.randoms())
def test_the_order_of_annotators_and_of_cells_changes_nothing(columns, random):
    several = [votes(f"v{i}", c) for i, c in enumerate(columns)]
    n = len(columns[0])
    rows = np.array([random.randrange(-1, 2) for _ in range(n)])
    order = random.sample(range(n), n)
    shuffled = [votes(f"v{i}", [c[j] for j in order]) for i, c in enumerate(columns)]
    random.shuffle(shuffled)
    one = of_clusters(several, rows, ["a", "b"])
    other = of_clusters(shuffled, rows[order], ["a", "b"])
    assert [(r.label, r.confidence, r.alternatives) for r in one] == [
        (r.label, r.confidence, r.alternatives) for r in other
    ]


@settings(deadline=None)
@given(columns_of_labels)
@example([["mysteries"], ["Mystery"]])
def test_a_duplicate_in_a_group_changes_nothing(columns):
    several = [votes(f"v{i}", c) for i, c in enumerate(columns)]
    again = [*several, votes("again", columns[0], "v0")]
    rows = np.zeros(len(columns[0]), dtype=np.intp)
    one, other = of_clusters(several, rows, ["a"]), of_clusters(again, rows, ["a"])
    assert (one["a"].label, one["a"].confidence) == (other["a"].label, other["a"].confidence)
    assert one.evidence["a"]["entropy"] == other.evidence["a"]["entropy"]


@settings(deadline=None)
@given(columns_of_labels)
def test_a_table_survives_json_and_shares_are_no_more_than_all(columns):
    several = [votes(f"v{i}", c) for i, c in enumerate(columns)]
    rows = np.zeros(len(columns[0]), dtype=np.intp)
    found = of_clusters(several, rows, ["a"])
    assert Annotations.from_json(found.to_json()) == Annotations.from_json(found.to_json())
    terms = vocabulary(several)
    for one in several:
        part = shares(one, rows, 1, {t: i for i, t in enumerate(terms)})
        assert part.sum() <= 1 + 1e-12
    json.dumps(found.evidence, allow_nan=False)


def test_a_column_votes_in_proportion_and_few_cells_do_not():
    cells = ["T cell"] * 70 + ["NK cell"] * 26 + ["Fibroblast"] * 4
    one = votes("tool", cells)
    terms = vocabulary([one])
    part = shares(one, np.zeros(100, dtype=int), 1, {t: i for i, t in enumerate(terms)})
    named = {
        cell_ontology()[t].label: round(float(w), 2) for t, w in zip(terms, part[0], strict=True)
    }
    assert named == {"fibroblast": 0, "T cell": 0.7, "natural killer cell": 0.26}


def test_no_vote_is_skipped_with_its_reason():
    row = of_clusters([votes("a", [None]), votes("b", ["Unknown"])], np.array([0]), ["x"])["x"]
    assert (row.status, row.label, row.error) == ("skipped", None, "no engine answered")


def test_one_vote_is_that_label_without_a_confidence():
    row = of_clusters([votes("a", ["CD4+ T-cells"]), votes("b", [None])], np.array([0]), ["x"])["x"]
    assert (row.label, row.ontology_id, row.confidence) == ("CD4+ T-cells", "CL:0000624", None)
    assert "Only one annotator voted" in row.justification


def test_who_dissents_and_by_how_much():
    found = of_clusters(
        [votes("a", ["T cell"] * 10, confidence=[0.5] * 10), votes("b", ["CD4 T cell"] * 10),
         votes("c", ["Fibroblast"] * 6 + ["T cell"] * 4)],
        np.zeros(10, dtype=int), ["x"],
    )  # fmt: skip
    known = found.evidence["x"]
    assert found["x"].label == "T cell"
    assert known["agreement"] == pytest.approx(2.4 / 3)
    assert known["dissent"] == [
        {"engine": "c", "group": "c", "weight": pytest.approx(0.6), "label": "Fibroblast",
         "term": "CL:0000057"}
    ]  # fmt: skip
    by_name = {v["engine"]: v for v in known["votes"]}
    assert by_name["a"] == {
        "engine": "a", "group": "a", "label": "T cell", "confidence": 0.5, "status": "ok",
        "term": "CL:0000084", "agrees": True, "share": 1.0,
    }  # fmt: skip
    assert by_name["c"]["agrees"] is False
    assert [x["share"] for x in by_name["c"]["labels"]] == [0.6, 0.4]


def test_unknown_names_the_leaders():
    row = of_clusters([votes("a", ["T cell"]), votes("b", ["Fibroblast"])], np.array([0]), ["x"])[
        "x"
    ]
    assert (row.status, row.label) == ("unknown", "Unknown")
    assert row.alternatives == ("Fibroblast", "T cell")


def test_of_levels_the_finest_consistent_one_votes():
    broad = votes("l1", ["T cell", "T cell", "T cell", None, "Mystery"])
    fine = votes("l2", ["CD4 T cell", "B cell", "Enigma", "B cell", "B cell"])
    made = finest("tool", [broad, fine])
    assert made.labels.values().tolist() == ["CD4 T cell", "T cell", "T cell", "B cell", "B cell"]


TOOLS = {
    "azimuth": ["predicted.celltype.l1", "predicted.celltype.l1.score", "predicted.celltype.l2",
                "predicted.celltype.l2.score", "mapping.score"],
    "azimuth_panhuman": ["azimuth_broad", "azimuth_medium", "azimuth_fine"],
    "celltypist": ["predicted_labels", "over_clustering", "majority_voting", "conf_score"],
    "singler": ["SingleR.labels", "pruned.labels"],
    "sctype": ["sctype_classification"],
    "popv": ["popv_prediction", "popv_prediction_score", "popv_scanvi_prediction"],
    "scpred": ["scpred_prediction", "scpred_max", "scpred_no_rejection"],
    "cellranger": ["coarse_cell_type", "fine_cell_type"],
    "author": ["author_cell_type"],
    "cellxgene": ["cell_type", "cell_type_ontology_term_id"],
    "seurat_transfer": ["predicted.id", "prediction.score.max", "prediction.score.B"],
}  # fmt: skip
COLUMNS = {
    "azimuth": (("predicted.celltype.l1", "predicted.celltype.l2"),
                ("predicted.celltype.l1.score", "predicted.celltype.l2.score")),
    "celltypist": (("majority_voting", "predicted_labels"), ("conf_score", "conf_score")),
    "singler": (("pruned.labels",), (None,)),
    "popv": (("popv_prediction",), ("popv_prediction_score",)),
    "seurat_transfer": (("predicted.id",), ("prediction.score.max",)),
}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_columns_of_tools_are_known_by_their_names(tool):
    found = tool_columns([*TOOLS[tool], "nCount_RNA", "seurat_clusters", "cell_type_2"])
    assert [f.name for f in found] == [tool]
    if tool in COLUMNS:
        assert (found[0].columns, found[0].scores) == COLUMNS[tool]


def test_all_tools_beside_each_other_are_found():
    names = [c for columns in TOOLS.values() for c in columns]
    assert {f.name for f in tool_columns(names)} == set(TOOLS)


def test_our_own_columns_are_none_of_a_tool():
    assert tool_columns(TOOLS["cellxgene"], own=["cell_type"]) == []


@pytest.mark.parametrize(
    ("model", "group"),
    [("gpt-5-mini", "llm gpt"), ("openai/gpt-5", "llm openai"), ("claude-opus-4", "llm claude"),
     ("qwen3:8b", "llm qwen"), (None, "llm")],
)  # fmt: skip
def test_models_of_one_vendor_are_one_family(model, group):
    table = Annotations((), provenance={"engine": "llm", "options": {"model": model}})
    assert family(table) == group


def table(engine, **labels):
    def row(cluster, label):
        if label is None:
            return Annotation(cluster, "failed", error="no", engine=engine)
        if label == "Unknown":
            return Annotation(cluster, "unknown", label=label, engine=engine)
        return Annotation(cluster, "ok", label=label, engine=engine, supporting=(f"{engine}1",))

    return Annotations(
        tuple(row(c, x) for c, x in labels.items()), provenance={"engine": engine, "key": "k"}
    )


def test_tables_of_several_engines_are_one_answer():
    tables = {
        "a": table("local", x="T cell", y=None, z="B cell"),
        "b": table("cytetype", x="CD4 T cell", y="Unknown", z="Monocyte"),
        "c": table("other", x="T cell", y=None, z="Fibroblast"),
    }
    found = consensus_of_tables(tables, "cell_type", failed={"d": "no key"})
    assert found.labels() == {"x": "T cell", "y": None, "z": "Mononuclear leukocyte"}
    assert found["x"].supporting == ("local1", "cytetype1", "other1")
    by_name = {v["engine"]: v for v in found.evidence["y"]["votes"]}
    assert (by_name["a"]["status"], by_name["a"]["error"]) == ("failed", "no")
    assert by_name["b"]["status"] == "unknown"
    assert (by_name["d"]["status"], by_name["d"]["error"]) == ("failed", "no key")
    assert found.provenance["engine"] == "consensus"


def test_a_frame_of_ids_says_more_than_its_labels():
    labels, terms = read(
        Texts.of(["my cell", "my cell", "T cell"]),
        Texts.of(["CL:0000236", None, "nonsense"]),
        Resolver(),
    )
    assert dict(zip(labels.levels, terms, strict=True))["T cell"] == "CL:0000084"
    assert set(terms) == {"CL:0000236", "text:my cell", "CL:0000084"}
    assert pd.Series(labels.values()).tolist() == ["my cell", "my cell", "T cell"]


@settings(deadline=None)
@given(columns_of_labels)
def test_the_finest_label_is_one_of_the_levels_and_never_contradicts_a_broader_one(columns):
    levels = [votes(f"l{i}", c) for i, c in enumerate(columns)]
    made = finest("tool", levels)
    ontology = cell_ontology()
    terms = [*made.terms, None]
    for i in range(len(columns[0])):
        chosen = terms[made.labels.codes[i]]
        own = [[*v.terms, None][v.labels.codes[i]] for v in levels]
        assert chosen in own
        assert (chosen is None) == all(t is None for t in own)
        known = [t for t in own if t is not None and not t.startswith("text:")]
        if known:
            # A label with a term is never given up for a text, nor for what it is no kind of.
            assert ontology.is_a(chosen, known[0])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.text("ACGT-1", min_size=1, max_size=6), min_size=1, max_size=8, unique=True),
    st.randoms(),
)
def test_a_file_is_joined_by_the_exact_names_of_cells(tmp_path_factory, names, random):
    from cellferry.annotations.agreement.sources import Annotator, Labelled, votes_of

    path = tmp_path_factory.mktemp("x") / "cell_types.csv"
    labels = {n: random.choice(["T cell", "B cell", "Fibroblast"]) for n in names}
    there = random.sample(names, random.randint(1, len(names)))
    pd.DataFrame({
        "barcode": there, "fine_cell_type": [labels[n] for n in there]
    }).to_csv(path, index=False)  # fmt: skip
    cells = random.sample(names, len(names))
    obs = pd.DataFrame(index=cells)
    who = Annotator("cellranger", "cellranger", ("fine_cell_type",), (None,), file=path)
    read_votes = votes_of([who], Labelled(cells, obs, {}), Resolver())[0]
    assert read_votes.labels.values().tolist() == [labels[c] if c in there else None for c in cells]
