"""How much was seen: chance, few genes, short lists, panels, and a weak second lineage."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cellferry.biology.gene_tables import known_symbols
from cellferry.engines.local import Local
from cellferry.engines.local.decision.confidence import FEW_SEEN
from cellferry.engines.local.decision.floor import LEAST_SEEN, LEAST_SEEN_SHORT
from cellferry.engines.local.decision.seen import (
    seen_to_name,
    surprise,
    tail,
    tail_of_classes,
)
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.knowledge.packaged import transcription_factors
from cellferry.engines.local.knowledge.sources import plain, read_knowledge
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal
from local_tables import KNOWLEDGE, answers, listed, lists, table

FACTORS = """
AIRE AR ARX ASCL1 ASCL2 ATF3 ATOH1 BACH2 BARX1 BATF BATF3 BCL11A BCL11B BCL6 BHLHE41 BNC1 CDX1
CDX2 CEBPA CEBPB CEBPD CEBPE CRX DLX2 DLX5 EBF1 EBF2 EBF3 EGR1 EGR2 ELF3 ELF5 EMX1 EN1 EOMES ERG
ESR1 ESRRB ETS1 ETV5 FEV FEZF2 FLI1 FOS FOSB FOXA1 FOXA2 FOXA3 FOXC1 FOXD1 FOXF1 FOXG1 FOXI1 FOXJ1
FOXN1 FOXP1 FOXP2 FOXP3 GATA1 GATA2 GATA3 GATA4 GATA5 GATA6 GCM1 GFI1 GLI1 GRHL2 GRHL3 HES1 HES4
HES5 HEY1 HEY2 HHEX HLF HNF1A HNF1B HNF4A HOPX ID1 ID2 ID3 IKZF2 INSM1 IRF4 IRF7 IRF8 IRX3 IRX4
ISL1 JUN KLF1 KLF2 KLF4 KLF5 LEF1 LHX1 LHX2 LHX6 LHX9 LMX1A LMX1B MAF MAFA MAFB MECOM MEF2C MEIS1
MEIS2 MEOX2 MITF MYB MYF5 MYF6 MYOD1 MYOG NANOG NEUROD1 NEUROD2 NEUROD6 NEUROG2 NEUROG3 NFATC1
NFE2 NHLH1 NKX2-1 NKX2-2 NKX2-5 NKX3-1 NKX6-1 NKX6-2 NR1H3 NR2E1 NR2F1 NR2F2 NR4A2 NR5A1 NRL OLIG1
OLIG2 ONECUT1 ONECUT2 OTX2 PAX2 PAX3 PAX5 PAX6 PAX7 PAX8 PBX1 PDX1 PHOX2B PITX1 PITX2 PITX3
POU2AF1 POU2F3 POU3F4 POU4F1 POU4F2 POU5F1 PPARG PRDM1 PROX1 PRRX1 PTF1A RARB RAX RAX2 RORA RORC
RUNX1 RUNX2 RUNX3 RXRG SALL1 SALL4 SATB2 SCX SIM1 SIX1 SIX2 SOX1 SOX10 SOX17 SOX18 SOX2 SOX4 SOX5
SOX6 SOX9 SP7 SP8 SPDEF SPI1 SPIB SPIC STAT1 STAT4 TAL1 TBR1 TBX1 TBX18 TBX20 TBX21 TBX5 TBXT
TCF21 TCF4 TCF7 TCF7L2 TFAP2A TFAP2B TFAP2C TFEC THRB TOX TOX2 TP63 TWIST1 TWIST2 VAX1 VSX2 WT1
XBP1 ZBTB16 ZBTB46 ZEB2 ZFPM1 ZIC1 ZIC2 ZNF683
"""
"""Transcription factors, of which most are markers of some type."""

PROFILES = Profiles.from_knowledge(KNOWLEDGE, "human")
HIERARCHY = Hierarchy.build(KNOWLEDGE, PROFILES)


def signal_of(genes):
    return Signal.read(PROFILES, Evidence.from_markers(table({"0": genes}), 50), 0)


def seen(genes, name):
    return surprise(HIERARCHY, signal_of(genes), HIERARCHY.index(name), subtypes=False)


def named_of_random(pool, length, species, *, drawn=500, seed=0):
    """The answers that are names, to lists of genes that are drawn from a pool."""
    rng = np.random.default_rng([seed, length])
    genes = {str(i): rng.choice(pool, length, replace=False).tolist() for i in range(drawn)}
    return [r for r in answers(Local(), lists(genes), species=species) if r.status == "ok"]


def test_the_surprise_is_the_hypergeometric_tail():
    genes = listed("Hepatocyte")[:2]
    # Neither is a transcription factor, and chance chooses among the genes that are none.
    others = HIERARCHY.counted & ~HIERARCHY.factors
    of_type = int((HIERARCHY.marks[HIERARCHY.index("Hepatocyte")] & others).sum())
    by_chance = math.comb(of_type, 2) / math.comb(int(others.sum()), 2)
    assert seen(genes, "Hepatocyte") == pytest.approx(-math.log10(by_chance))


def test_more_markers_are_more_of_a_surprise_and_others_less():
    hepatocyte = listed("Hepatocyte")
    found = [seen(hepatocyte[:n], "Hepatocyte") for n in (1, 2, 4, 8, 16)]
    assert found == sorted(found)
    others = listed("Astrocyte")[:10]
    assert seen(hepatocyte[:4] + others, "Hepatocyte") < found[2]
    assert seen(others, "Hepatocyte") < LEAST_SEEN


@pytest.mark.parametrize("species", ["human", "mouse"])
@pytest.mark.parametrize("length", [10, 50, 200])
def test_lists_of_random_markers_are_unknown(species, length):
    rng = np.random.default_rng(7)
    pool = sorted(KNOWLEDGE.names_of_genes(species))
    drawn = {str(i): rng.choice(pool, length, replace=False).tolist() for i in range(200)}
    found = answers(Local(), lists(drawn), species=species)
    named = [r for r in found if r.status == "ok"]
    assert len(named) <= 0.03 * len(drawn)
    assert all(r.confidence <= FEW_SEEN for r in named)


@pytest.mark.slow
@pytest.mark.parametrize("species", ["human", "mouse"])
@pytest.mark.parametrize(("length", "share"), [(2, 0.01), (3, 0.02), (5, 0.02), (10, 0.01)])
def test_short_lists_of_random_markers_get_hardly_a_name(species, length, share):
    pool = sorted(KNOWLEDGE.names_of_genes(species))
    named = named_of_random(pool, length, species)
    assert len(named) <= share * 500
    assert all(r.confidence <= FEW_SEEN for r in named)


def test_two_genes_name_a_type_by_which_of_its_markers_they_are():
    """However many markers a type lists, two that define it are enough, and two others are not."""
    beta = HIERARCHY.index("Pancreatic beta cell")
    assert HIERARCHY.marks[beta].sum() > 70
    assert answers(Local(), lists({"0": ["INS", "IAPP"]}))["0"].label == "Pancreatic beta cell"
    defining, supporting = (
        seen_to_name(HIERARCHY, signal_of(pair), beta)
        for pair in (["INS", "IAPP"], ["ENTPD3", "RBP4"])
    )
    assert supporting < LEAST_SEEN_SHORT < defining


def test_of_two_genes_all_pairs_that_are_as_good_are_counted():
    i = HIERARCHY.index("Hepatocyte")
    total = int((HIERARCHY.counted | HIERARCHY.marks_below[i]).sum())
    tiers = HIERARCHY.profiles.own[HIERARCHY.inside[i]].max(axis=0)
    defining = int(np.isclose(tiers / HIERARCHY.profiles.specificity, 1.0).sum())
    pair = [g for g in listed("Hepatocyte") if g in {"ALB", "APOA2", "FGB"}][:2]
    as_good = math.comb(defining, 2) / math.comb(total, 2)
    found = seen_to_name(HIERARCHY, signal_of(pair), i)
    assert found == pytest.approx(-math.log10(as_good))


def test_two_genes_alone_are_no_sure_answer():
    found = answers(Local(), lists({"0": ["CD79A", "MS4A1"]}))["0"]
    assert found.label == "B cell"
    assert found.confidence <= FEW_SEEN


@pytest.mark.parametrize("length", [10, 30, 60])
def test_transcription_factors_alone_are_no_sure_answer(length):
    """They are markers of many types: chosen by what they are, they name none for sure."""
    rng = np.random.default_rng(length)
    pool = sorted(set(FACTORS.split()) & set(KNOWLEDGE.names_of_genes("human")))
    assert len(pool) > 80
    drawn = {str(i): rng.choice(pool, length, replace=False).tolist() for i in range(100)}
    named = [r for r in answers(Local(), lists(drawn), species="human") if r.status == "ok"]
    assert all(r.confidence <= FEW_SEEN for r in named)
    assert len(named) <= 0.1 * len(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("length", [10, 20, 30, 60])
def test_transcription_factors_alone_name_nothing(length):
    """Some types are known by little else: chance among such genes has as many of them."""
    check_that_nothing_is_named("human", set(FACTORS.split()), length)


@pytest.mark.slow
@pytest.mark.parametrize("species", ["human", "mouse"])
@pytest.mark.parametrize("length", [10, 60])
def test_neither_do_all_that_are_markers(species, length):
    check_that_nothing_is_named(species, transcription_factors(species), length)


def check_that_nothing_is_named(species, pool, length):
    known = sorted(set(pool) & set(KNOWLEDGE.names_of_genes(species)))
    # Of 3,000 of the shortest 1.3 % are named, and of 300 as many as nine by chance.
    drawn = 1200 if length == 10 else 300
    named = named_of_random(known, length, species, drawn=drawn)
    assert len(named) <= 0.02 * drawn
    assert all(r.confidence <= FEW_SEEN for r in named)


def test_what_the_transcription_factors_of_a_type_are_still_names_it():
    """All that neural crest has are more of them than chance gives, and name it."""
    factors = [g for g in listed("Neural crest cell") if g in transcription_factors("human")]
    assert len(factors) >= 8
    assert answers(Local(), lists({"0": factors}))["0"].label == "Neural crest cell"


def test_each_transcription_factor_is_a_symbol_of_its_species():
    for species in ("human", "mouse"):
        assert transcription_factors(species) <= known_symbols(species)


def test_each_transcription_factor_is_a_marker_of_one_species():
    human, mouse = ({*KNOWLEDGE.names_of_genes(s)} for s in ("human", "mouse"))
    as_human = {gene.upper() for gene in mouse}
    assert transcription_factors("human") <= human | as_human
    as_mouse = {gene.capitalize() for gene in human}
    assert transcription_factors("mouse") <= mouse | as_mouse


def test_a_transcription_factor_is_one_by_any_of_its_names():
    own = {"Naive stem cell": ["OCT4/POU5F1*3", "NANOG*3", "SOX2*2"]}
    knowledge = KNOWLEDGE.merged_with(read_knowledge(plain(own)))
    profiles = Profiles.from_knowledge(knowledge, "human")
    factors = Hierarchy.build(knowledge, profiles).factors
    assert factors[profiles.genes.index("OCT4")]
    assert not factors[profiles.genes.index("CD79A")]


def test_a_type_of_the_stated_tissue_needs_less():
    others = [*listed("Chondrocyte")[:2], *listed("Hepatocyte")[:3], *listed("Melanocyte")[:2]]
    genes = lists({"0": [*listed("Astrocyte")[:3], *others]})
    assert answers(Local(), genes)["0"].status == "unknown"
    assert answers(Local(), genes, tissue="lung")["0"].status == "unknown"
    found = answers(Local(), genes, tissue="brain")["0"]
    assert found.label == "Astrocyte"
    assert found.confidence <= 0.6


@pytest.mark.slow
@pytest.mark.parametrize("tissue", ["brain", "lung", "kidney", "blood"])
def test_random_lists_are_nothing_of_the_stated_tissue_either(tissue):
    rng = np.random.default_rng(3)
    genes = sorted(KNOWLEDGE.names_of_genes("human"))
    drawn = {str(i): rng.choice(genes, 10, replace=False).tolist() for i in range(500)}
    named = [r for r in answers(Local(), lists(drawn), tissue=tissue) if r.status == "ok"]
    assert len(named) <= 0.02 * len(drawn)
    assert max((row.confidence for row in named), default=0) <= 0.6


def test_leaders_of_one_kind_give_what_they_share():
    """One gene of each of several subtypes names none of them, but all of them together."""
    genes = ["GJA5", "SEMA3G", "ACKR1", "CA4", "CLDN5", "RAMP2", "AQP1"]
    found = answers(Local(), lists({"0": genes}))["0"]
    assert found.status == "ok"
    ids = {t.name: KNOWLEDGE.ancestors[t.name] for t in KNOWLEDGE.types}
    assert found.label == "Endothelial cell" or "Endothelial cell" in ids[found.label]


def test_a_weak_second_lineage_takes_from_the_confidence():
    pure = answers(Local(), table({"0": listed("Hepatocyte")}))["0"]
    more = [*listed("Hepatocyte"), *listed("Neutrophil")[5:11]]
    mixed = answers(Local(), table({"0": more}))["0"]
    assert mixed.label == "Hepatocyte"
    assert mixed.mixed or mixed.confidence < pure.confidence


def test_one_leader_without_enough_of_its_own_gives_what_it_is_a_kind_of():
    """One gene of macrophages and others of myeloid cells are no macrophage, but myeloid."""
    found = answers(Local(), lists({"0": ["C1QC", "TYROBP", "FCER1G", "AIF1", "SPI1"]}))["0"]
    assert found.status == "ok"
    assert "Leukocyte" in {found.label, *KNOWLEDGE.ancestors[found.label]}


@pytest.mark.parametrize(
    ("shared", "known", "drawn", "total"),
    [(0, 5, 5, 100), (3, 20, 50, 1000), (40, 60, 200, 5000), (5, 5, 5, 12)],
)
def test_the_tail_is_exact(shared, known, drawn, total):
    ways = sum(
        math.comb(known, k) * math.comb(total - known, drawn - k)
        for k in range(shared, min(known, drawn) + 1)
    )
    exact = math.log10(ways) - math.log10(math.comb(total, drawn))
    assert tail(shared, known, drawn, total) == pytest.approx(min(exact, 0.0), abs=1e-9)


def test_the_tail_of_one_class_is_the_tail():
    for shared, known, drawn, total in [(1, 5, 5, 100), (3, 20, 50, 1000), (40, 60, 200, 5000)]:
        expected = tail(shared, known, drawn, total)
        found = tail_of_classes(shared, [(known, drawn, total), (0, 7, 90)])
        assert found == pytest.approx(expected, abs=1e-9)


def test_the_tail_of_two_classes_is_exact():
    one, two = (3, 4, 10), (5, 6, 20)
    total = 0.0
    for x in range(4):
        for y in range(6):
            if x + y >= 4:
                ways = [
                    math.comb(k, n) * math.comb(of - k, d - n) / math.comb(of, d)
                    for n, (k, d, of) in ((x, one), (y, two))
                ]
                total += ways[0] * ways[1]
    assert tail_of_classes(4, [one, two]) == pytest.approx(math.log10(total))


def test_of_thousands_of_raised_genes_more_than_the_best_are_looked_at():
    others = sorted(set(KNOWLEDGE.names_of_genes("human")) - set(listed("Hepatocyte")))
    strong = table({"0": others[:120:2]}, 8.0, filler=0)
    found = {}
    for weak in ([], listed("Hepatocyte")):
        both = [*others[:120:2], *weak]
        markers = table({"0": both}, 8.0, filler=0)
        fold = np.where(np.isin(markers.gene, weak), 1.0, 8.0) if weak else strong.avg_log2fc
        evidence = Evidence.from_markers(replace(markers, avg_log2fc=fold), 50)
        signal = Signal.read(PROFILES, evidence, 0)
        i = HIERARCHY.index("Hepatocyte")
        found[bool(weak)] = surprise(HIERARCHY, signal, i, subtypes=False)
    assert found[True] > found[False] + 5


@pytest.mark.parametrize(
    ("name", "pair"),
    [("B cell", ["VPREB3", "FCRLA"]), ("Hepatocyte", ["AMBP", "CPS1"])],
)
def test_two_strong_markers_beside_many_weak_ones_are_no_pair_alone(name, pair):
    i, of_type = HIERARCHY.index(name), set(listed(name))
    weak = [g for g in listed(name) if g not in pair]
    others = sorted(set(KNOWLEDGE.names_of_genes("human")) - of_type)[:120:2]
    markers = table({"0": [*pair, *weak, *others]}, filler=0)
    strong = np.isin(markers.gene, pair)
    markers = replace(markers, avg_log2fc=np.where(strong, 3.0, 0.4))
    signal = Signal.read(PROFILES, Evidence.from_markers(markers, 50), 0)
    assert seen_to_name(HIERARCHY, signal, i) == surprise(HIERARCHY, signal, i) > 10
    alone = signal_of(pair)
    assert seen_to_name(HIERARCHY, alone, i) < LEAST_SEEN_SHORT


def test_why_two_genes_are_too_little_is_said():
    found = answers(Local(), lists({"0": ["ENTPD3", "RBP4"]}))["0"]
    assert found.status == "unknown"
    assert found.justification.endswith("too little: other genes are as good by chance.")
