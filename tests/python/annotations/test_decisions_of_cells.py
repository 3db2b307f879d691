"""Many decisions about few cells each: all at once says what one after the other says."""

import warnings
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.decisions.decision import Decision, identity, names_hash
from cellferry.annotations.decisions.history import history
from cellferry.annotations.decisions.of_cells import chosen_by_hand, placed
from cellferry.annotations.labelling.objects import attach
from cellferry.study.clusters import Clusters

CELLS = tuple(f"c{i}" for i in range(8))
KEY = "cell_type"


def decision(number, action, label, cells):
    made = Decision(
        "",
        action,
        f"2026-01-01T00:00:{number:02}+00:00",
        names_hash(cells),
        cells=tuple(cells),
        label=label,
        n_cells=len(cells),
    )
    return replace(made, id=identity(made))


ONE = st.tuples(
    st.sampled_from(["relabelled", "unknown", "needs_work", "withdrawn"]),
    st.sampled_from(["Plasma cell", "B cell", "T cell"]),
    st.lists(st.sampled_from([*CELLS, "gone"]), min_size=1, max_size=5, unique=True),
)


@st.composite
def many(draw):
    drawn = draw(st.lists(ONE, max_size=12))
    return [
        decision(i, action, label if action == "relabelled" else None, cells)
        for i, (action, label, cells) in enumerate(drawn)
    ]


def one_by_one(decisions):
    """Return cell -> the decision that counts, as a person would find it."""
    found = dict.fromkeys(CELLS)
    for d in decisions:
        found |= {c: None if d.action == "withdrawn" else d for c in d.cells if c in found}
    return found


@given(many())
def test_the_last_decision_about_a_cell_counts(decisions):
    expected = one_by_one(decisions)
    chosen = chosen_by_hand(decisions, CELLS)
    for cell, number, place in zip(CELLS, chosen.decision, chosen.place, strict=True):
        assert (None if number < 0 else decisions[number]) is expected[cell]
        if number >= 0:
            assert decisions[number].cells[place] == cell
    where = placed(decisions, CELLS)
    for i, d in enumerate(decisions):
        assert [CELLS[at] if at >= 0 else "gone" for at in where.of(i)] == [*d.cells]


def made(decisions):
    """Return an object whose cells have decisions."""
    obs = pd.DataFrame({"g": pd.Categorical(["0"] * 4 + ["1"] * 4)}, index=[*CELLS])
    adata = anndata.AnnData(np.zeros((8, 1), dtype="f4"), obs=obs)
    rows = (
        Annotation("0", "ok", label="B cell", confidence=0.5, confidence_kind="graded", engine="e"),
        Annotation("1", "ok", label="T cell", confidence=0.7, confidence_kind="graded", engine="e"),
    )
    found = Annotations(rows, provenance={"group_key": "g", "key": KEY})
    attach(adata, found, Clusters(("0", "1"), np.repeat([0, 1], 4)), KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if decisions:
            cellferry.apply_decisions(adata, [d.to_dict() for d in decisions])
    return adata


@settings(deadline=None, max_examples=60)
@given(many())
def test_columns_are_those_of_the_decisions_one_by_one(drawn):
    decisions = [d for d in drawn if "gone" not in d.cells]
    adata = made(decisions)
    expected = one_by_one(decisions)
    for i, cell in enumerate(CELLS):
        engine, sure = ("B cell", 0.5) if i < 4 else ("T cell", 0.7)
        d, row = expected[cell], adata.obs.loc[cell]
        label = engine
        if d is not None and d.action in {"relabelled", "unknown"}:
            label = d.label or "Unknown"
        assert row[KEY] == label
        assert row[f"{KEY}_status"] == ("unknown" if label == "Unknown" else "ok")
        agrees = label == engine
        assert (row[f"{KEY}_confidence"] == sure) if agrees else np.isnan(row[f"{KEY}_confidence"])
        if f"{KEY}_decision" in adata.obs:
            word = row[f"{KEY}_decision"]
            assert (word if isinstance(word, str) else None) == (d.action if d else None)
    # About the cluster later: cells that were chosen by hand keep theirs.
    before = adata.obs[KEY].astype(str)
    cellferry.set_labels(adata, {"0": "Kupffer cell"})
    after = adata.obs[KEY].astype(str)
    for i, cell in enumerate(CELLS):
        # What needs work has the label that it would have.
        d = expected[cell]
        kept = i >= 4 or (d is not None and d.action != "needs_work")
        assert after[cell] == (before[cell] if kept else "Kupffer cell")


@given(many())
def test_the_state_of_each_is_what_came_later_about_its_cells(decisions):
    found = history(Annotations((), decisions=tuple(decisions)))
    for i, (d, row) in enumerate(zip(decisions, found, strict=True)):
        over = [o for o in decisions[i + 1 :] if {*d.cells} <= {*o.cells}]
        state = "in force"
        if over:
            state = "withdrawn" if over[-1].action == "withdrawn" else "replaced"
        assert row["state"] == state


def test_decisions_about_single_cells_survive_new_names_together():
    decisions = [decision(i, "relabelled", "Plasma cell", [c]) for i, c in enumerate(CELLS[:3])]
    adata = made(decisions)
    adata.obs_names = [f"s1_{c}" for c in CELLS]
    again = Annotations(
        (Annotation("0", "ok", label="B cell"), Annotation("1", "ok", label="T cell")),
        provenance={"group_key": "g", "key": KEY},
    )
    attach(adata, again, Clusters(("0", "1"), np.repeat([0, 1], 4)), KEY)
    assert adata.obs[KEY].tolist() == ["Plasma cell"] * 3 + ["B cell"] + ["T cell"] * 4
    assert len(cellferry.decisions(adata)) == 3
