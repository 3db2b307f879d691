"""Which names are symbols, in what disguises they are read, and what is never read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.biology.gene_tables import known_symbols, symbols_by_number
from cellferry.biology.recognition import are_proteins, detect_species, recognise

IDS = {s: f"ENSG{n:011d}" for n, s in symbols_by_number("human").items()}
GENES = [
    "CD3D", "CD3E", "IL7R", "LEF1", "LYZ", "S100A8", "CD79A", "MS4A1", "BANK1", "HLA-DRA",
    "MT-CO1", "NKX2-1", "RPL13A", "CD1D",
]  # fmt: skip
DISGUISES = {
    "GRCh38-": ("prefix", lambda s: f"GRCh38-{s}"),
    "GRCh38_": ("prefix", lambda s: f"GRCh38_{s}"),
    "GRCh38______": ("prefix", lambda s: f"GRCh38______{s}"),
    "hg19_": ("prefix", lambda s: f"hg19_{s}"),
    "premRNA": ("prefix", lambda s: f"GRCh38_premrna_{s}"),
    "versioned": ("prefix", lambda s: f"GRCh38-3.0.0_premrna---{s}"),
    "assay key": ("prefix", lambda s: f"rna_{s}"),
    "genome and id": ("prefix", lambda s: f"GRCh38_{IDS[s]}"),
    "at the end": ("ending", lambda s: f"{s}-human"),
    "symbol_id": ("pair", lambda s: f"{s}_{IDS[s]}"),
    "symbol-id": ("pair", lambda s: f"{s}-{IDS[s]}.5"),
    "symbol.id": ("pair", lambda s: f"{s}.{IDS[s]}"),
    "symbol|id": ("pair", lambda s: f"{s}|{IDS[s]}"),
    "id_symbol": ("pair", lambda s: f"{IDS[s]}_{s}"),
    "id|symbol": ("pair", lambda s: f"{IDS[s]}.5|{s}"),
    "symbol|entrez": ("pair", lambda s: f"{s}|915"),
    ".1": ("suffix", lambda s: f"{s}.1"),
    "-1": ("suffix", lambda s: f"{s}-1"),
    "_12": ("suffix", lambda s: f"{s}_12"),
    "twice unique": ("suffix", lambda s: f"{s}.1.2"),
    "lower": ("case", str.lower),
    "lower with prefix": ("prefix", lambda s: f"grch38_{s.lower()}"),
    "blank": ("blanks", lambda s: f"{s}\u00a0"),
    "quoted": ("blanks", lambda s: f'"{s}"'),
}


@pytest.mark.parametrize("is_table", [False, True])
@pytest.mark.parametrize(("kind", "write"), DISGUISES.values(), ids=DISGUISES)
def test_a_disguise_is_read_as_the_symbol_and_named(kind, write, is_table):
    names = [write(s) for s in GENES]
    found = recognise(names, together=(lambda _a, _b: False) if is_table else None)
    assert [found.readings[n] for n in names] == GENES
    assert not found.is_few
    assert kind in found.noted()
    assert found.species.species == "human"


def test_symbols_are_never_read_otherwise():
    for species in ("human", "mouse"):
        found = recognise(known_symbols(species))
        assert dict(found.readings) == {}
        assert found.known == found.names
        assert found.species.species == species
        assert not found.is_mixed


def test_dots_of_make_names_are_hyphens_where_that_is_a_symbol():
    found = recognise([*GENES[:9], "HLA.DRA", "MT.CO1", "X1700001A01Rik"])
    assert found.readings == {"HLA.DRA": "HLA-DRA", "MT.CO1": "MT-CO1"}


def test_numbers_that_r_adds_by_row_are_read_only_if_the_gene_is_in_another_cluster():
    first, second = ["CD79A", "MS4A1", "CD19", "CD3D"], ["CD79A1", "MS4A11", "CD191", "CD3D2"]
    apart = recognise([*first, *second], together=lambda _a, _b: False)
    # CD191 is also the name of a protein, CCR1.
    assert apart.readings == dict(zip(second, first, strict=True))
    within = recognise([*first, *second], together=lambda _a, _b: True)
    assert dict(within.readings) == {}
    assert dict(recognise([*first, *second]).readings) == {}


def test_an_old_symbol_is_not_another_gene_with_a_number():
    # TMEM173 is STING1, and TMEM17 is a gene of its own.
    names = [*sorted(known_symbols("human"))[:300], "TMEM17", "TMEM173"]
    assert dict(recognise(names, together=lambda _a, _b: False).readings) == {}


def test_a_second_gene_of_a_symbol_in_an_object_is_right_as_it_is():
    found = recognise([*GENES, "CD3D.1", "LYZ-1"])
    assert dict(found.readings) == {}
    assert found.second == {"CD3D.1", "LYZ-1"}
    assert found.noted() == {}


def test_mouse_genes_in_capitals_are_of_the_mouse():
    mouse = sorted(known_symbols("mouse"))[::20]
    found = recognise([s.upper() for s in mouse])
    assert found.letters == "mouse"
    assert found.species.species == "mouse"
    assert all(found.readings.get(s.upper(), s.upper()) == s for s in mouse)
    stated = recognise(["CD79A", "MS4A1", "CD19"], "mouse")
    assert stated.readings == {"CD79A": "Cd79a", "MS4A1": "Ms4a1", "CD19": "Cd19"}


def test_two_genomes_are_two_species_and_never_one():
    names = [f"GRCh38-{s}" for s in GENES] + [f"mm10---{s}" for s in ("Cd3d", "Cd79a", "Lyz2")]
    found = recognise(names)
    assert found.is_mixed
    assert found.genomes == {"GRCh38-": len(GENES), "mm10---": 3}
    assert recognise([*GENES, *(s.capitalize() for s in GENES)]).is_mixed


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("dates", ["1-Mar", "Mar-01", "2023-03-01", "43891", "01. Mrz", "2-Sep", "3/1/2023"]),
        ("numbers", ["2.31E+13"]),
        ("peaks", ["chr1-100-200", "chr1:100-200", "GL000194.1-55-75", "1:100-200"]),
        ("proteins", ["CD3-TotalC", "CD45RA_TotalSeqB", "adt_CD4", "IgG1-control", "Hashtag1"]),
        ("placeholders", ["Gene0001", "feature_1", "gene-12", "V3", "X17"]),
        ("transcripts", ["ENST00000361763.2", "NM_000732"]),
        ("probes", ["1007_s_at", "ILMN_1651228"]),
    ],
)
def test_what_is_no_gene_is_named_and_not_read(kind, names):
    found = recognise(names)
    assert set(found.no_genes[kind]) == set(names)
    assert found.is_few
    assert dict(found.readings) == {}


def test_proteins_are_known_as_such_where_some_have_the_name_of_their_gene():
    assert are_proteins(["CD3", "CD4", "CD8a", "CD14", "CD56", "CD45RA", "IgG1"])
    assert not are_proteins(GENES)


def test_genes_that_are_no_symbols_show_no_species():
    assert detect_species([f"Gene{i:03d}" for i in range(40)]).species is None
    assert detect_species([f"GRCh38-{s}" for s in GENES]).species is None


@settings(deadline=None)
@given(
    st.lists(st.from_regex(r"[A-Z][a-z]{1,3}[qxzj]{2}[A-Za-z]{2,6}", fullmatch=True), min_size=1)
)
def test_unknown_genes_are_always_few(names):
    found = recognise(names)
    known = found.known + found.read
    assert found.is_few or 2 * known >= found.names - found.silent


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(sorted(IDS)), min_size=4, max_size=30, unique=True),
    st.sampled_from([w for _, w in DISGUISES.values()]),
)
def test_any_symbols_in_a_disguise_are_recognised(genes, write):
    names = [write(s) for s in genes]
    found = recognise(names, together=lambda _a, _b: False)
    assert not found.is_few
    # What is a symbol again when it is disguised cannot be seen.
    right = [found.readings.get(n) == s or n in IDS for n, s in zip(names, genes, strict=True)]
    assert sum(right) >= 0.7 * len(genes)


@settings(deadline=None)
@given(st.lists(st.text(max_size=15), max_size=40), st.sampled_from([None, "human", "mouse"]))
def test_any_text_is_answered_and_each_name_counts_once(names, species):
    found = recognise(names, species, together=lambda _a, _b: False)
    different = {n for n in names if n and not n.isspace()}
    assert found.names == len(different)
    assert found.known + found.read + found.silent <= found.names
    assert set(found.readings) <= different
