import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.engines.local.knowledge.base import CellType, Marker
from cellferry.engines.local.profiles import ELSEWHERE, Profiles
from local_tables import KNOWLEDGE

HUMAN = Profiles.from_knowledge(KNOWLEDGE, "human")


def row(name):
    return HUMAN.names.index(name)


def test_new_markers_are_those_that_no_ancestor_lists():
    names = {HUMAN.genes[g] for g in np.flatnonzero(HUMAN.new[row("CD56-dim NK cell")])}
    listed = {m.name for m in KNOWLEDGE.by_name["CD56-dim NK cell"].positive["human"]}
    assert names < listed
    assert "FCGR3A" not in names  # NK cell lists it
    assert "MYOM2" in names


def test_aliases_lead_to_the_gene_and_never_away_from_a_current_symbol():
    assert "CD20" in HUMAN.symbols["MS4A1"]
    assert "SDPR" in HUMAN.symbols["CAVIN2"]
    for gene, names in HUMAN.symbols.items():
        for other in set(names) - {gene}:
            assert other not in HUMAN.genes


def test_types_of_other_tissues_need_more():
    lung = Profiles.from_knowledge(KNOWLEDGE, "human", frozenset({"lung"}))
    assert lung.prior[lung.names.index("Hepatocyte")] == ELSEWHERE
    assert lung.prior[lung.names.index("Alveolar type 2 cell")] == 1
    assert (HUMAN.prior == 1).all()


def test_adding_an_unrelated_type_changes_no_weight_of_the_others():
    own = CellType("Unrelated", positive={"human": (Marker(("GENE1",), 3), Marker(("GENE2",)))})
    more = Profiles.from_knowledge(KNOWLEDGE.merged_with((own,)), "human")
    columns = [more.genes.index(g) for g in HUMAN.genes]
    rows = [more.names.index(n) for n in HUMAN.names]
    assert np.array_equal(more.positive[np.ix_(rows, columns)], HUMAN.positive)
    assert np.array_equal(more.negative[np.ix_(rows, columns)], HUMAN.negative)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1, 1), min_size=len(HUMAN.genes) // 50, max_size=80))
def test_weights_are_the_matrix(values):
    genes = np.resize(np.array(values), len(HUMAN.genes))
    weights = HUMAN.positive_weights
    assert np.allclose(weights.times(genes), HUMAN.positive @ genes)
    assert np.allclose(weights.squares(genes), HUMAN.positive**2 @ genes)
    assert np.array_equal(weights.count(genes > 0), ((HUMAN.positive > 0) & (genes > 0)).sum(1))
