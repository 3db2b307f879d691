import csv
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines import local
from cellferry.engines.local import Local
from cellferry.engines.local.knowledge.suggest import suggested_tissue
from cellferry.engines.local.knowledge.tissues import occurs, tissues_of
from local_tables import BLOOD, KNOWLEDGE, answers, listed, table


@pytest.mark.parametrize(
    ("text", "tissues"),
    [
        ("blood", {"blood"}),
        ("Human PBMCs, healthy donor", {"blood"}),
        ("colon", {"large intestine", "intestine"}),
        ("intestine", {"intestine", "small intestine", "large intestine"}),
        ("Bone marrow", {"bone marrow"}),
        ("pancreatic islets", {"pancreas"}),
        ("", set()),
        ("organoid of something", set()),
    ],
)
def test_what_users_call_tissues(text, tissues):
    assert tissues_of(text) == tissues


def test_every_tissue_of_the_knowledge_is_in_the_table():
    text = (resources.files("cellferry") / "data" / "tissues.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    names = {row["name"] for row in rows}
    used = {tissue for t in KNOWLEDGE.types for tissue in t.tissues} - {"any"}
    assert used == names
    assert all(row["ontology_id"].startswith("UBERON:") for row in rows)
    assert {row["part_of"] for row in rows if row["part_of"]} <= names


@given(st.lists(st.sampled_from(["liver", "lung", "any"])), st.sets(st.just("lung")))
def test_types_of_anywhere_occur_everywhere(types, tissues):
    assert occurs([*types, "any"], frozenset(tissues))
    assert occurs(types, frozenset())


def test_a_stated_tissue_is_a_hint_and_no_rule():
    both = table({"0": listed("Pancreatic delta cell")})
    assert answers(Local(), both, tissue="pancreas")["0"].label == "Pancreatic delta cell"
    liver = table({"0": listed("Hepatocyte")})
    one, other = answers(Local(), liver), answers(Local(), liver, tissue="blood")
    assert one["0"].label == other["0"].label == "Hepatocyte"
    assert other["0"].confidence <= one["0"].confidence


def test_how_many_findings_are_kept_between_two_looks_changes_nothing(monkeypatch):
    islets = {n: listed(n) for n in ("Pancreatic beta cell", "Pancreatic acinar cell")}
    for clusters, tissue in ((islets, "pancreas"), ({"": ["CD3D", "CD3E"], **BLOOD}, None)):
        found = answers(Local(), table(clusters))
        assert found.provenance["tissue_suggested"] == tissue
        with monkeypatch.context() as patched:
            patched.setattr(local, "KEPT", 1)
            again = answers(Local(), table(clusters))
        assert (again.rows, again.evidence) == (found.rows, found.evidence)


def test_a_tissue_is_suggested_when_several_clusters_agree():
    islets = {n: listed(n) for n in ("Pancreatic beta cell", "Pancreatic acinar cell")}
    assert answers(Local(), table(islets)).provenance["tissue_suggested"] == "pancreas"
    assert answers(Local(), table(BLOOD)).provenance["tissue_suggested"] in {None, "blood"}
    assert suggested_tissue([("Unknown", None), (None, None)], KNOWLEDGE) is None


def test_the_tissue_that_most_clusters_suggest_decides_between_siblings():
    somatostatin = ["SST", "HHEX", "RBP4", "PRG4", "BCHE", "RGS2", "GABRB3", "LEPR"]
    alone = answers(Local(), table({"delta": somatostatin}))
    assert alone["delta"].label == "D cell"
    islets = ("Pancreatic beta cell", "Pancreatic alpha cell", "Pancreatic acinar cell")
    among = {**{n: listed(n) for n in islets}, "delta": somatostatin}
    found = answers(Local(), table(among))
    assert found.provenance["tissue_suggested"] == "pancreas"
    assert found["delta"].label == "Pancreatic delta cell"
    stated = answers(Local(), table(among), tissue="stomach")
    assert stated["delta"].label == "D cell"
