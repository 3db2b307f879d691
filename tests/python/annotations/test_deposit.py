"""What portals of data take: CELLxGENE's columns, JSON of the Cell Annotation Schema, methods."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cellferry import errors
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.labelling.objects import attach
from cellferry.annotations.write.cas import cas_text
from cellferry.annotations.write.cellxgene import FORBIDDEN, NO_TERM, valid_term
from cellferry.biology.ontology import cell_ontology
from cellferry.study.clusters import Clusters

REAL = cell_ontology()
ROWS = (
    Annotation("0", "ok", label="T cell", ontology_id="CL:0000084", supporting=("CD3E", "CD3D"),
               confidence=0.9, confidence_kind="graded", engine="local"),
    Annotation("1", "ok", label="B cell", ontology_id="CL:0000236", engine="local"),
    Annotation("2", "unknown", label="Unknown", engine="local"),
)  # fmt: skip


@pytest.fixture
def adata():
    obs = pd.DataFrame(
        {"leiden": pd.Categorical(list("0001122"))}, index=[f"c{i}" for i in range(7)]
    )
    made = anndata.AnnData(np.ones((7, 2), dtype="f4"), obs)
    known = {"key": "cell_type", "engine": "local", "level": "clusters", "group_key": "leiden",
             "levels": True}  # fmt: skip
    found = Annotations(ROWS, provenance=known)
    attach(made, found, Clusters.from_column(made.obs["leiden"]), "cell_type")
    cellferry.set_labels(made, {"1": "Naive B cell"}, reason="IGHD is high", by="AB")
    return made


@settings(deadline=None)
@given(
    st.sampled_from(sorted(REAL.terms)), st.sets(st.sampled_from(sorted(REAL.terms)), max_size=5)
)
def test_a_term_that_is_written_is_allowed_and_above_its_own(term, newer):
    written = valid_term(term, newer=newer)
    if written == NO_TERM:
        return
    assert written not in FORBIDDEN | newer
    assert not REAL[written].obsolete
    assert REAL.is_a(REAL.current(term), written)


def test_the_copy_has_terms_and_no_reserved_column(adata, tmp_path):
    before = list(adata.obs)
    files = cellferry.write_annotations(adata, tmp_path / "x.h5ad", "cellxgene")
    made = anndata.read_h5ad(files[0])
    terms = made.obs["cell_type_ontology_term_id"]
    assert terms.tolist() == ["CL:0000084"] * 3 + ["CL:0000788"] * 2 + ["unknown"] * 2
    assert isinstance(terms.dtype, pd.CategoricalDtype)
    assert "cell_type" not in made.obs
    assert made.obs["author_cell_type"].tolist()[3] == "Naive B cell"
    assert list(adata.obs) == before
    assert "author_cell_type_colors" in made.uns
    assert made.X.sum() == adata.X.sum()


def test_a_table_of_the_cells_may_be_written(adata, tmp_path):
    adata.obs["author_cell_type"] = "theirs"
    files = cellferry.write_annotations(adata, tmp_path / "x.csv", "cellxgene")
    made = pd.read_csv(files[0], index_col=0)
    assert list(made) == ["cell_type_ontology_term_id", "author_cell_type_2"]
    assert made.index.tolist() == adata.obs_names.tolist()


def test_terms_that_are_not_allowed_are_said(adata, tmp_path):
    adata.obs["mine"] = pd.Categorical(["a"] * 7)
    adata.obs["mine_ontology_id"] = pd.Categorical(["CL:0000255"] * 7)
    with pytest.warns(errors.TermsReplacedWarning) as said:
        files = cellferry.write_annotations(adata, tmp_path / "x.tsv", "cellxgene", key="mine")
    made = pd.read_csv(files[0], sep="\t", index_col=0)
    assert set(made["cell_type_ontology_term_id"]) == {"CL:0000000"}
    assert "CL:0000255 by CL:0000000 (cell)" in str(said[0].message)


def test_the_real_validator_has_nothing_against_cell_types(adata, tmp_path):
    validate = pytest.importorskip("cellxgene_schema.validate", exc_type=ImportError)
    from cellxgene_ontology_guide.ontology_parser import OntologyParser

    files = cellferry.write_annotations(adata, tmp_path / "x.h5ad", "cellxgene")
    validator = validate.Validator()
    validator.validate_adata(str(files[0]))
    assert [e for e in validator.errors if "cell_type" in e] == []
    pinned = OntologyParser().cxg_schema.supported_ontologies["CL"]["version"]
    assert pinned == f"v{REAL.version}"


def test_cas_has_a_labelset_for_each_level(adata, tmp_path):
    files = cellferry.write_annotations(
        adata, tmp_path / "x.json", "cas", title="Blood", author="A. Author"
    )
    made = json.loads(files[0].read_text("utf-8"))
    assert [x["name"] for x in made["labelsets"]] == [
        "cell_type", "cell_type_fine", "cell_type_medium", "cell_type_broad"
    ]  # fmt: skip
    own = {x["cell_label"]: x for x in made["annotations"] if x["labelset"] == "cell_type"}
    assert set(own) == {"T cell", "Naive B cell", "unknown"}
    assert own["T cell"]["cell_ids"] == ["c0", "c1", "c2"]
    assert own["T cell"]["marker_gene_evidence"][0] == "CD3E"
    assert own["Naive B cell"]["author_annotation_fields"]["review_decision"] == "relabelled"
    assert own["Naive B cell"]["author_annotation_fields"]["review_reason"] == "IGHD is high"
    broad = [x for x in made["annotations"] if x["labelset"] == "cell_type_broad"]
    assert {x["cell_label"]: len(x["cell_ids"]) for x in broad} == {"Leukocyte": 5, "unknown": 2}


def test_cas_is_valid_by_its_tools(adata, tmp_path):
    tools = pytest.importorskip("cas.validate", exc_type=ImportError)
    cellferry.write_annotations(
        adata, tmp_path / "x.json", "cas", title="Blood", author="A. Author"
    )
    assert tools.validate("base", str(tmp_path / "x.json"))


@pytest.mark.parametrize(
    ("format_", "name", "options", "message"),
    [
        ("cas", "x.json", {"author": "me"}, "asks for a title"),
        ("cas", "x.json", {"title": "me"}, "asks for an author"),
        ("cas", "x.csv", {}, 'is written to .json, and the name is "x.csv"'),
        ("cellxgene", "x.xlsx", {}, "is written to .h5ad, .csv, .tsv"),
        ("cellxgen", "x.h5ad", {}, 'no format "cellxgen"'),
    ],
)
def test_what_is_missing_is_said(adata, tmp_path, format_, name, options, message):
    with pytest.raises(errors.InvalidOptionError, match=message):
        cellferry.write_annotations(adata, tmp_path / name, format_, **options)
    assert not (tmp_path / name).exists()


def test_a_file_is_not_replaced_unasked_and_a_table_has_no_cells(adata, tmp_path):
    (tmp_path / "x.h5ad").write_text("mine")
    with pytest.raises(errors.OutputError, match="exists"):
        cellferry.write_annotations(adata, tmp_path / "x.h5ad", "cellxgene")
    with pytest.raises(errors.EngineNeedsError, match="takes the terms of cells"):
        cellferry.write_annotations(
            cellferry.read_annotations(adata), tmp_path / "y.h5ad", "cellxgene"
        )


labels = st.sampled_from(["T cell", "B cell", "my own", "Unknown"])


@settings(deadline=None)
@given(st.lists(labels, min_size=1, max_size=6))
def test_a_labelset_has_each_label_once(names):
    rows = tuple(
        Annotation(str(i), "unknown" if x == "Unknown" else "ok", label=x)
        for i, x in enumerate(names)
    )
    made = json.loads(cas_text(Annotations(rows), "t", "a"))
    pairs = [(x["labelset"], x["cell_label"]) for x in made["annotations"]]
    assert len(set(pairs)) == len(pairs)
    assert {p[1] for p in pairs if p[0] == "cell_type"} == {
        "unknown" if x == "Unknown" else x for x in names
    }


def test_the_methods_say_what_the_record_has(adata):
    text = cellferry.methods_text(cellferry.read_annotations(adata))
    assert "Clusters were annotated by cellferry" in text
    assert "Of 3 clusters, 2 were given a cell type, 1 stayed unknown (7 cells)." in text
    assert "Labels were reviewed by 1 person: 1 relabelled." in text
    assert f"(release {REAL.version})" in text
    adata.obs["SingleR.labels"] = ["T_cells"] * 3 + ["B_cell"] * 4
    agreed = cellferry.consensus(adata, ["cell_type", "singler"], weights={"singler": 2})
    said = cellferry.methods_text(agreed)
    assert "the consensus of 2 annotators (cell_type, singler (weight 2))" in said


def test_the_methods_name_a_model_without_where_its_file_was():
    for engine, named in (("reference", "annotated reference"), ("celltypist", "of CellTypist")):
        known = {"engine": engine, "options": {"model": "/home/somebody/atlas.npz"}}
        said = cellferry.methods_text(Annotations((), provenance=known))
        assert f"{named} (atlas.npz)" in said
        assert "somebody" not in said
