"""Whether a model fits an object: one judge, with the same words for every engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry import errors
from cellferry.engines.models.genes import check_shared, shared_genes

HUMAN = ["CD3D", "MS4A1", "LYZ", "NKG7", "PPBP", "CST3", "CD79A", "GNLY", "FCER1A", "ACTB"]
MOUSE = [gene.capitalize() for gene in HUMAN]


@given(st.lists(st.sampled_from(HUMAN)), st.lists(st.sampled_from([*HUMAN, "OTHER"])))
def test_shared_genes_are_paired_by_their_names(of_model, of_object):
    own, columns = shared_genes(of_model, of_object)
    assert [of_model[i] for i in own] == [of_object[j] for j in columns]
    assert {of_model[i] for i in own} == set(of_model) & set(of_object)
    # Of a gene that the object has twice it is the first.
    assert all(of_object.index(of_object[j]) == j for j in columns)


def refused(match, *names, **options):
    own, _ = shared_genes(*names)
    with pytest.raises(errors.ModelError, match=match) as caught:
        check_shared(len(own), *names, enough=2, **options)
    return caught.value


@pytest.mark.parametrize("what", ["model", "reference"])
def test_another_species_other_identifiers_and_no_genes_are_told_apart(what):
    error = refused(
        f"The {what} is of human, and the genes of the object are of mouse: 0 of the 10 genes of "
        f"the {what}.", HUMAN, MOUSE, what=what,
    )  # fmt: skip
    assert error.hint == f"Give a {what} of the same species."
    ids = [f"ENSG{i:011}" for i in range(10)]
    error = refused(f"The object has 0 of the 10 genes of the {what}, which", HUMAN, ids, what=what)
    assert '"CD3D", "MS4A1", "LYZ", those of the object as "ENSG00000000000"' in error.hint
    refused("The object has 1 of the 1 gene of the", ["CD3D"], ["CD3D"], what=what)


def test_what_is_known_of_the_species_comes_before_the_names():
    refused("The model is of mouse", ["X1", "X2"], HUMAN, species="mouse")
    check_shared(2, HUMAN, HUMAN, enough=2, species="mouse")


def test_none_is_too_few_whatever_is_enough():
    with pytest.raises(errors.ModelError):
        check_shared(0, HUMAN, MOUSE, enough=0)
    assert np.array_equal(shared_genes(HUMAN, HUMAN)[0], np.arange(10))
