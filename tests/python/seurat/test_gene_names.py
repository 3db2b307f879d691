import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry import errors
from cellferry.seurat.columns import check_names, seurat_genes

genes = st.lists(st.text("A1-_|.", min_size=1, max_size=5), unique=True, max_size=30)


@given(genes)
def test_names_are_taken_by_seurat_and_stay_apart(given_genes):
    made = seurat_genes(given_genes)
    assert len(set(made)) == len(made) == len(given_genes)
    assert not [name for name in made if "_" in name or "|" in name]
    kept = [g for g in given_genes if "_" not in g and "|" not in g]
    assert [m for g, m in zip(given_genes, made, strict=True) if g in kept] == kept


def test_only_a_name_that_was_changed_steps_aside():
    assert seurat_genes(["A_1", "A-1", "A|1"]) == ["A-1.1", "A-1", "A-1.2"]
    assert seurat_genes(["MT-CO1", "mt_Co1", "HLA-A"]) == ["MT-CO1", "mt-Co1", "HLA-A"]


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""]])
def test_names_that_are_not_names_are_refused_with_the_recipe(names):
    with pytest.raises(errors.InvalidObjectError) as caught:
        check_names(names, "cells", "adata.obs_names_make_unique()")
    assert caught.value.hint
