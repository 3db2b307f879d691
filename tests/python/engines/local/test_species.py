"""Genes of other species, answered by their orthologs as tables, objects and cells."""

import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

import cellferry
from cellferry.biology.orthologs import PREFIXES, ortholog_table
from cellferry.engines.local.knowledge.packaged import packaged_knowledge

TYPES = ("Naive B cell", "Hepatocyte", "Endothelial cell", "Cardiac muscle cell", "Enterocyte")


def own_names(species: str, *, identifiers: bool) -> dict[str, str]:
    """Return human or mouse gene -> a gene of the species that is read as it."""
    table = ortholog_table(species)
    named: dict[str, str] = {}
    for name, target in sorted(table.by_symbol.items()):
        # The gene of the same name, if there is one.
        if target not in named or name.upper() == target.upper():
            named[target] = name
    if not identifiers:
        return named
    return {t: f"{table.prefix}{n:011}" for n, t in sorted(table.by_number.items(), reverse=True)}


def lists(species: str) -> dict[str, list[str]]:
    of = "mouse" if species == "rat" else "human"
    types = packaged_knowledge().by_name
    return {name: [m.name for m in types[name].positive[of]] for name in TYPES}


@pytest.mark.parametrize("identifiers", [True, False])
@pytest.mark.parametrize("species", sorted(PREFIXES.values()))
def test_a_table_of_another_species_is_answered_like_its_orthologs(species, identifiers):
    own = own_names(species, identifiers=identifiers)
    genes = {name: [g for g in of if g in own] for name, of in lists(species).items()}
    theirs = {name: [own[g] for g in of] for name, of in genes.items()}
    stated = None if identifiers else species
    found = cellferry.annotate_clusters(theirs, species=stated, progress=False)
    like = "mouse" if species == "rat" else "human"
    expected = cellferry.annotate_clusters(genes, species=like, progress=False)
    assert [row.label for row in found] == [row.label for row in expected]
    assert [row.confidence for row in found] == [row.confidence for row in expected]
    assert found.provenance["species"] == species
    assert found.provenance["species_from"] == ("genes" if identifiers else "stated")
    # The names of the table are led back to.
    own_of = found.provenance.get("gene_names", {})
    shown = {own_of.get(m, m) for row in found for m in row.supporting}
    assert shown
    assert shown <= {g for of in theirs.values() for g in of}


def test_what_is_read_is_said_also_where_only_the_genes_show_it(caplog):
    own = own_names("pig", identifiers=True)
    genes = [own[g] for g in ("CD79A", "MS4A1", "CD19", "CD79B", "PAX5", "BANK1") if g in own]
    with caplog.at_level(logging.INFO, "cellferry"):
        cellferry.annotate_clusters({"0": genes}, progress=False)
    assert "There are no markers of pig (Sus scrofa) of its own" in caplog.text
    assert "read by the table of its human orthologs" in caplog.text


@pytest.mark.parametrize("verb", [cellferry.annotate_clusters, cellferry.annotate_cells])
def test_an_object_of_a_zebrafish_is_answered_like_its_orthologs(verb):
    own = own_names("zebrafish", identifiers=False)
    genes = sorted({g for of in lists("zebrafish").values() for g in of if g in own})
    of_type = lists("zebrafish")
    rng = np.random.default_rng(1)
    rows, groups = [], []
    for name in TYPES:
        for _ in range(40):
            rate = np.array([8.0 if g in of_type[name] else 0.05 for g in genes])
            rows.append(np.log1p(rng.poisson(rate)))
            groups.append(name)
    frames = {}
    for species, names in (("human", genes), ("zebrafish", [own[g] for g in genes])):
        adata = anndata.AnnData(
            csr_matrix(np.array(rows, dtype=np.float32)),
            obs=pd.DataFrame({"group": pd.Categorical(groups)}, index=map(str, range(len(rows)))),
            var=pd.DataFrame(index=names),
        )
        options = {} if verb is cellferry.annotate_cells else {"group_key": "group"}
        verb(adata, species=species, progress=False, **options)
        frames[species] = adata.obs
        assert list(adata.var_names) == names
    human, fish = frames["human"], frames["zebrafish"]
    assert list(human.columns) == list(fish.columns)
    for column in human.columns:
        assert human[column].astype(str).tolist() == fish[column].astype(str).tolist(), column


def test_capitals_of_a_mouse_get_the_answers_of_the_mouse():
    types = packaged_knowledge().by_name
    genes = {n: [m.name for m in types[n].positive["mouse"]] for n in TYPES}
    expected = cellferry.annotate_clusters(genes, species="mouse", progress=False)
    loud = {n: [g.upper() for g in of] for n, of in genes.items()}
    with pytest.warns(cellferry.errors.GenesUnrecognisedWarning, match="upper or lower case"):
        found = cellferry.annotate_clusters(loud, species="mouse", progress=False)
    assert [row.label for row in found] == [row.label for row in expected]
