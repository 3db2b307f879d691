import hashlib

import numpy as np
import pytest

from cellferry.engines.llm.questions import (
    PROMPTS,
    VERSION,
    fill,
    make_questions,
    prompt,
    tissue_of,
)
from cellferry.study.build import study_from_markers
from cellferry.study.markers.read import read_markers
from cellferry.study.study import Clusters, Context
from llm_cases import GENES, LISTS, question

PINNED = {
    "annotator": "99d80cd160860104",
    "blind": "407975d188c653bd",
    "validator": "4b850c9f6670f7d7",
    "question": "cd0f0873d1de44fe",
    "validation": "9bcb451e9824d972",
    "again": "db93bcdfe4168588",
    "unreadable": "4d6b4f96e32e5d23",
    "prompted": "e7bb312e09fc3661",
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_words_of_a_released_version_never_change(name):
    """A better wording is a new version: put it into a folder of its own and pin it here."""
    assert VERSION == "v1"
    assert hashlib.sha256(prompt(name).encode()).hexdigest()[:16] == PINNED[name]


def study(lists=LISTS, **context):
    return study_from_markers(lists, context=Context(**context))


def questions(of, **options):
    given = {"ranking_method": "avg_log2FC", "additional_info": None, "others": True}
    given = {**given, "settings": {}, **options}
    return make_questions(of, of.markers.select(), **given)


def test_everything_known_is_in_the_question():
    import pandas as pd

    table = pd.DataFrame(
        {"cluster": ["mine"] * 3 + ["theirs"], "gene": ["CD79A", "MS4A1", "CD19", "CD3D"],
         "avg_log2FC": [3.5, 2.0, np.inf, 4.0], "pct.1": [0.95, 0.8, 0.5, 0.9],
         "pct.2": [0.05, np.nan, 0.0, 0.1], "p_val_adj": [0.0] * 4}
    )  # fmt: skip
    of = study_from_markers(table, context=Context("blood", "human", "After treatment."))
    of = of.with_parts(clusters=Clusters(("mine", "theirs"), sizes=(30, 70)))
    text = questions(of, additional_info="Mind doublets.")["mine"].text
    for line in (
        "Species: human", "Tissue: blood", "Study: After treatment.",
        "Additional information: Mind doublets.", "Cells in this cluster: 30, 30.0 % of all cells",
        "Marker genes (3), best first, ranked by log2 fold change:",
        "gene\tlog2 fold change\t% of its cells\t% of other cells",
        "CD19\tonly in this cluster\t50\t0", "CD79A\t3.50\t95\t5", "MS4A1\t2.00\t80\t-",
        "- 70 cells: CD3D",
    ):  # fmt: skip
        assert line in text.splitlines()
    # Names of clusters are hints or secrets.
    assert "mine" not in text
    assert "theirs" not in text


@pytest.mark.parametrize("tissue", [None, "", "none", "Tissue blind", "unknown"])
def test_an_unknown_tissue_is_a_mode_and_no_default(tissue):
    of = study(tissue=tissue)
    assert tissue_of(of) is None
    text = questions(of)["0"].text
    assert "Tissue: unknown. Do not assume one" in text
    assert "lung" not in text


@pytest.mark.parametrize("species", ["human", "mouse", "zebrafish", "Macaca mulatta"])
def test_any_species_by_name(species):
    assert f"Species: {species}\n" in questions(study(species=species))["0"].text


def test_tokens_are_opaque_and_differ_even_for_equal_clusters():
    same = questions(study({"a": GENES["B cell"], "b": GENES["B cell"]}))
    tokens = {q.token for q in same.values()}
    assert len(tokens) == 2
    assert all(len(t) == 10 and t.isalnum() for t in tokens)
    assert len({q.key for q in same.values()}) == 2


def test_the_key_depends_on_the_own_question_and_not_on_other_clusters():
    before = questions(study())
    changed = questions(study({**LISTS, "1": ["CD3E", "TRAC"]}))
    assert before["0"].key == changed["0"].key
    assert before["0"].token == changed["0"].token
    assert before["0"].text != changed["0"].text
    assert before["1"].key != changed["1"].key
    for other in (
        questions(study(tissue="blood")), questions(study(), additional_info="x"),
        questions(study(), settings={"model": "b"}), questions(study(species="mouse")),
    ):  # fmt: skip
        assert before["0"].key != other["0"].key


def test_a_cluster_without_genes_has_no_question():
    markers = read_markers({"a": ["CD3D"]})
    of = study({"a": ["CD3D"], "b": ["LYZ"]})
    given = {"ranking_method": "avg_log2FC", "additional_info": None, "settings": {}}
    assert list(make_questions(of, markers.select(), others=False, **given)) == ["a"]


def test_many_other_clusters_are_cut():
    text = questions(study({f"c{i}": [f"G{i}"] for i in range(60)}))["c0"].text
    assert text.rstrip().endswith("- and 19 more")


def test_what_users_wrote_is_never_a_template():
    assert "$token ${x} $" in fill("validation", question="$token ${x} $", answer="$$")
    assert question(["A$B", "$token"]).genes == ("A$B", "$token")
