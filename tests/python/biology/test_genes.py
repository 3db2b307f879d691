import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.genes import identifier_kind, require_symbols
from cellferry.biology.recognition import detect_species
from cellferry.errors import GeneIdentifiersError

HUMAN = ["CD3E", "HLA-DRA", "C1orf43", "MT-CO1", "MS4A1", "CXorf38", "RP11-34P13.7", "LINC00115"]
MOUSE = ["Cd3e", "mt-Co1", "H2-Aa", "Gm1234", "1700001A01Rik", "H2-K1", "Hba-a1", "Nkx2-1"]
ENSEMBL = ["ENSG00000167286", "ENSMUSG00000032094.15", "ENSDARG00000054690"]


@pytest.mark.parametrize("gene", [*ENSEMBL, "FBgn0036414", "WBGene00006763"])
def test_every_ensembl_like_form_is_recognised(gene):
    assert identifier_kind([gene]) == "ensembl"


def test_kind_is_that_of_the_majority():
    assert identifier_kind(["916", "3606", "CD3E"]) == "entrez"
    assert identifier_kind([*HUMAN, *ENSEMBL]) == "symbol"
    assert identifier_kind([*ENSEMBL, "CD3E"]) == "ensembl"
    assert identifier_kind(["916", "CD3E"]) == "symbol"
    assert identifier_kind([]) == "symbol"


def test_kind_counts_each_name_once():
    assert identifier_kind(["ENSG00000167286"] * 10 + HUMAN) == "symbol"


@pytest.mark.parametrize("gene", ["ENSG0000016728", "ENSG", "FBgn12", "ENST00000361763", "CD3E"])
def test_what_only_resembles_an_identifier_is_a_symbol(gene):
    assert identifier_kind([gene]) == "symbol"


@pytest.mark.parametrize(("genes", "species"), [(HUMAN, "human"), (MOUSE, "mouse")])
def test_species_from_the_way_symbols_are_written(genes, species):
    guess = detect_species(genes)
    assert guess.species == species
    assert guess.share == 1.0


@pytest.mark.parametrize(("prefix", "species"), [("ENSG", "human"), ("ENSMUSG", "mouse")])
def test_species_from_ensembl_prefix(prefix, species):
    assert detect_species([f"{prefix}{i:011d}" for i in range(5)]).species == species


def test_names_that_are_alike_in_both_species_tell_nothing():
    guess = detect_species(["C3", "F2", "H19", "AC012345.1", "BC004004", "T", "12"])
    assert guess.species is None
    assert guess.share == 0.0


def test_too_few_genes_are_no_evidence():
    assert detect_species(MOUSE[:4]).species is None
    assert detect_species(MOUSE[:5]).species == "mouse"
    assert detect_species(["Cd3e"] * 100).species is None


def test_a_mixture_is_no_species():
    guess = detect_species([*HUMAN, *MOUSE])
    assert guess.species is None
    assert guess.share == 0.5


def test_other_organisms_are_neither():
    assert detect_species(["cd3e", "ms4a1", "sox10", "pax7a", "mylz2", "hbba1"]).species is None
    assert detect_species([f"ENSRNOG{i:011d}" for i in range(9)]).species is None


@given(st.lists(st.sampled_from(HUMAN + MOUSE + ["C3", ""]), min_size=0, max_size=60))
def test_species_is_independent_of_order_and_repetition(genes):
    assert detect_species(genes) == detect_species(sorted(genes) + genes)


@given(st.lists(st.text(max_size=20)))
def test_any_text_is_answered(genes):
    assert 0 <= detect_species(genes).share <= 1
    assert identifier_kind(genes) in {"symbol", "ensembl", "entrez"}


@pytest.mark.parametrize(
    ("genes", "title"), [(ENSEMBL, "Ensembl"), (["916", "3606", "931"], "Entrez")]
)
def test_identifiers_where_symbols_are_needed(genes, title):
    with pytest.raises(GeneIdentifiersError) as caught:
        require_symbols(genes, "marker table")
    assert caught.value.message.startswith(f"The genes of the marker table are {title} identifiers")
    assert genes[0] in caught.value.message
    assert "Read10X" in caught.value.hint
    assert "adata.var_names" in caught.value.hint
    assert caught.value.data["examples"] == genes


def test_symbols_pass():
    require_symbols([*HUMAN, *MOUSE, "ENSG00000167286"], "marker table")
