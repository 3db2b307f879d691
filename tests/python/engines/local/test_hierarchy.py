import numpy as np

from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.profiles import Profiles
from local_tables import KNOWLEDGE

HUMAN = Hierarchy.build(KNOWLEDGE, Profiles.from_knowledge(KNOWLEDGE, "human"))


def relation(matrix, one, other):
    return bool(matrix[HUMAN.index(one), HUMAN.index(other)])


def test_inside_and_related():
    assert relation(HUMAN.inside, "Naive B cell", "B cell")
    assert not relation(HUMAN.inside, "B cell", "Naive B cell")
    assert relation(HUMAN.related, "B cell", "Naive B cell")
    assert not relation(HUMAN.related, "Naive B cell", "Memory B cell")


def test_types_that_can_both_be_true_are_compatible():
    assert relation(HUMAN.compatible, "Naive T cell", "CD8 T cell")
    assert not relation(HUMAN.compatible, "CD4 T cell", "CD8 T cell")


def test_compartments_separate_lineages():
    assert relation(HUMAN.same_lineage, "T cell", "NK cell")
    assert relation(HUMAN.same_lineage, "Classical monocyte", "cDC2")
    assert relation(HUMAN.same_lineage, "Classical monocyte", "Neutrophil")
    assert relation(HUMAN.same_lineage, "Enterocyte", "Goblet cell")
    assert not relation(HUMAN.same_lineage, "T cell", "B cell")
    assert not relation(HUMAN.same_lineage, "T cell", "Hepatocyte")
    assert not relation(HUMAN.same_lineage, "Platelet", "Classical monocyte")


def test_relations_are_symmetric_and_everything_is_related_to_itself():
    for matrix in (HUMAN.related, HUMAN.compatible, HUMAN.same_lineage):
        assert np.array_equal(matrix, matrix.T)
        assert matrix.diagonal().all()
    assert not (HUMAN.related & ~HUMAN.compatible).any()


def test_children_that_are_not_known_in_a_species_are_left_out():
    mouse = Hierarchy.build(KNOWLEDGE, Profiles.from_knowledge(KNOWLEDGE, "mouse"))
    names = {mouse.profiles.names[i] for i in mouse.below(mouse.index("NK cell"))}
    assert names == set()
    assert {HUMAN.profiles.names[i] for i in HUMAN.below(HUMAN.index("NK cell"))} == {
        "CD56-dim NK cell",
        "CD56-bright NK cell",
        "Decidual NK cell",
    }


def test_another_tissue_is_as_if_it_were_built_for_it():
    knowledge, blood = packaged_knowledge(), frozenset({"blood"})
    anywhere = Hierarchy.build(knowledge, Profiles.from_knowledge(knowledge, "human"))
    built = Hierarchy.build(knowledge, Profiles.from_knowledge(knowledge, "human", blood))
    made = [anywhere.in_tissues(blood)]
    # Whatever was worked out before.
    assert anywhere.marks.any()
    assert anywhere.profiles.own_weights.value.any()
    assert anywhere.lineage_marks(5).any()
    made.append(anywhere.in_tissues(blood))
    for one in made:
        assert (one.profiles.prior == built.profiles.prior).all()
        assert (one.profiles.prior < 1).any()
        for name in ("marks", "marks_below", "counted", "inside", "same_lineage"):
            assert (getattr(one, name) == getattr(built, name)).all()
        assert (one.lineage_marks(5) == built.lineage_marks(5)).all()
        for name in ("own_weights", "positive_weights", "negative_weights"):
            for part in ("row", "column", "value"):
                mine, theirs = (getattr(getattr(h.profiles, name), part) for h in (one, built))
                assert (mine == theirs).all()
    assert (anywhere.profiles.prior == 1).all()
