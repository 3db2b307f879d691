"""Whatever is annotated, unknown genes are warned of and known ones are read in any disguise."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cell_data import cells
from cellferry import errors
from cellferry.annotate.checks import check_study
from cellferry.biology.gene_tables import symbols_by_number
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.errors import CellsDiagnosisWarning, GenesUnrecognisedWarning
from cellferry.study.clusters import Clusters
from cellferry.study.markers.read import read_markers
from cellferry.study.study import Study

IDS = {s: f"ENSG{n:011d}" for n, s in symbols_by_number("human").items()}
LISTS = {
    "0": ["CD3D", "CD3E", "IL7R", "TRAC", "CD3G", "LEF1", "TCF7", "CCR7", "LTB", "MAL"],
    "1": ["LYZ", "S100A8", "S100A9", "CD14", "FCN1", "VCAN", "CST3", "CTSS", "MNDA", "LST1"],
    "2": ["CD79A", "MS4A1", "CD79B", "BANK1", "CD19", "VPREB3", "TCL1A", "CD22", "PAX5", "FCER2"],
}
WRITE = {
    "prefix": lambda s: f"GRCh38-{s}",
    "premrna": lambda s: f"hg19_premrna_{s}",
    "pair": lambda s: f"{s}_{IDS.get(s, 'ENSG00000999999')}",
    "bar": lambda s: f"{IDS.get(s, 'ENSG00000999999')}_{s}",
    "number": lambda s: f"{s}.1",
    "hyphen": lambda s: f"{s}-1",
    "lower": str.lower,
}


def labelled(lists, **options):
    """Return the labels, and the text of each warning about genes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cellferry.annotate_clusters(lists, tissue="blood", progress=False, **options)
    return found, [str(w.message) for w in caught if w.category is GenesUnrecognisedWarning]


@pytest.fixture(scope="module")
def plain():
    return cellferry.annotate_clusters(LISTS, tissue="blood", progress=False).labels()


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_a_disguised_table_gets_the_labels_of_the_plain_one_with_a_warning(write, plain):
    found, said = labelled({c: [write(g) for g in genes] for c, genes in LISTS.items()})
    assert found.labels() == plain
    assert len(said) == 1
    assert "30 of 30 genes of the marker table are not written as symbols" in said[0]
    assert found.provenance["genes"]["markers"]["read"] == 30
    own = found.provenance["gene_names"]
    assert all(own[g] == write(g) for row in found.rows for g in row.supporting)


def test_plain_genes_are_read_without_a_word(plain):
    found, said = labelled(LISTS)
    assert said == []
    assert found.provenance["genes"]["markers"]["known"] == 30


@pytest.mark.parametrize("ending", [".1", "-1", "1"])
def test_the_second_of_two_equal_clusters_gets_the_same_label(ending):
    lists = {"0": LISTS["2"], "1": [f"{g}{ending}" for g in LISTS["2"]], "2": LISTS["0"]}
    found, said = labelled(lists)
    assert found["0"].label == found["1"].label == "B cell"
    assert "10 with a number that made them unique" in said[0]


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_cells_are_labelled_by_what_their_genes_are_read_as(write):
    adata, disguised = cells(), cells()
    disguised.var_names = [write(g) for g in disguised.var_names]
    names = list(disguised.var_names)
    cellferry.annotate_cells(adata, progress=False)
    with pytest.warns(GenesUnrecognisedWarning, match="of the object are not written as symbols"):
        cellferry.annotate_cells(disguised, progress=False)
    one, other = (list(a.obs["cell_type_cell"].astype(str)) for a in (adata, disguised))
    assert one == other
    assert list(disguised.var_names) == names


def test_unknown_cells_are_not_blamed_on_doublets():
    adata = cells()
    adata.var_names = [f"Gene{i:04d}" for i in range(adata.n_vars)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cellferry.annotate_cells(adata, progress=False)
    texts = {w.category: str(w.message) for w in caught}
    assert f"Only 0 of {adata.n_vars} genes" in texts[GenesUnrecognisedWarning]
    assert "look like placeholders" in texts[GenesUnrecognisedWarning]
    assert "The genes are not recognised" in texts[CellsDiagnosisWarning]
    assert "oublet" not in texts[CellsDiagnosisWarning]


def test_the_rows_of_dates_are_named_and_none_is_read():
    found, said = labelled({**LISTS, "0": [*LISTS["0"], "1-Mar", "43891"]})
    assert 'row 11 "1-Mar" (cluster "0"), row 12 "43891" (cluster "0")' in said[0]
    assert "gene_names" not in found.provenance


def test_a_cluster_of_unknown_genes_among_others_is_named():
    _, said = labelled({**LISTS, "9": [f"Qqx{c}zz" for c in "abcdef"]})
    assert said[0].startswith('No gene of cluster "9" is a known symbol')


def test_two_genomes_in_one_object_are_said_to_be_two():
    mouse = ("mm10___Cd3d", "mm10___Cd79a", "mm10___Lyz2")
    names = (*(f"GRCh38_{g}" for g in LISTS["0"]), *mouse)
    study = Study(Clusters((), np.full(1, -1)), cells=("a",), genes=names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = check_study(study, "cells")
    assert any("are of two genomes" in str(w.message) for w in caught)
    assert found.context.species is None


def test_an_assay_of_proteins_points_to_the_assay_that_has_genes():
    names = ("CD3-TotalC", "CD4-TotalC", "CD19-TotalC", "IgG1-control")
    study = Study(
        Clusters((), np.full(1, -1)), cells=("a",), genes=names, assay="ADT",
        other_assays={"RNA": tuple(LISTS["0"]), "peaks": ("chr1-1-9", "chr1-20-30")},
    )  # fmt: skip
    before = errors.language.set("r")
    try:
        with pytest.warns(GenesUnrecognisedWarning, match='assay "ADT"') as caught:
            check_study(study, "cells")
    finally:
        errors.language.reset(before)
    assert 'The assay "RNA" has genes: 10 of 10' in str(caught[0].message)
    assert 'assay = "RNA"' in str(caught[0].message)


def test_table_and_object_may_disguise_their_genes_in_two_ways():
    markers = read_markers({"0": [f"{g}.1" for g in LISTS["0"]], "1": LISTS["2"]})
    genes = tuple(f"GRCh38-{g}" for of in LISTS.values() for g in of)
    with pytest.warns(GenesUnrecognisedWarning):
        found = check_study(Study(Clusters(("0", "1")), genes=genes, markers=markers))
    assert set(found.markers.gene) <= set(found.genes)
    assert found.gene_names["CD3D"] == "GRCh38-CD3D"


def test_a_warning_points_to_the_line_of_the_caller():
    with pytest.warns(GenesUnrecognisedWarning) as caught:
        cellferry.annotate_clusters({"0": ["foo", "bar"]}, progress=False)
    assert caught[0].filename == __file__


def test_genes_of_the_engine_s_own_table_are_known():
    own = {"Ionocyte": ["qxa", "qxb", "qxc"], "Chef": ["qxd", "qxe", "qxf"]}
    _, said = labelled({"0": own["Ionocyte"]}, knowledge=own, knowledge_only=True)
    assert said == []


unknown = st.from_regex(r"[a-z]{1,3}[qxz]{2}[A-Za-z]{2,5}", fullmatch=True)
affix = st.sampled_from(["", "GRCh38-", "hg19_", "chr1-", "Gene"])
ending = st.sampled_from(["", ".1", "-2", "_ENSG00000999999", "-TotalC"])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(affix, unknown, ending).map("".join), min_size=1, unique=True))
def test_no_table_and_no_object_of_unknown_genes_passes_without_a_word(names):
    table = Study(Clusters(("0",)), markers=read_markers({"0": names}))
    of_cells = Study(Clusters((), np.full(1, -1)), cells=("a",), genes=tuple(names))
    for study, level in ((table, "clusters"), (of_cells, "cells")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_study(study, level)
        assert any(w.category is GenesUnrecognisedWarning for w in caught)


@settings(deadline=None, max_examples=5)
@given(st.sampled_from(list(WRITE.values())), st.permutations(range(10)), st.integers(5, 10))
def test_known_genes_in_any_disguise_get_the_labels_of_plain_ones(write, order, n):
    lists = {c: [genes[i] for i in order][:n] for c, genes in LISTS.items()}
    expected, said = labelled(lists)
    assert said == []
    found, said = labelled({c: [write(g) for g in genes] for c, genes in lists.items()})
    assert found.labels() == expected.labels()
    assert said


@pytest.mark.parametrize("species", ["mouse", None])
def test_mouse_symbols_in_capitals_get_the_answers_of_mouse(species):
    types = ("NK cell", "B cell", "Macrophage", "Endothelial cell", "Fibroblast")
    lists = {t: [m.name for m in packaged_knowledge().by_name[t].positive["mouse"]] for t in types}
    expected = cellferry.annotate_clusters(lists, species="mouse", progress=False)
    capitals = {t: [g.upper() for g in genes] for t, genes in lists.items()}
    with pytest.warns(errors.CellferryWarning):
        found = cellferry.annotate_clusters(capitals, species=species, progress=False)
    assert [r.label for r in found] == [r.label for r in expected]
