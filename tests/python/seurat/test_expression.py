import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellferry import errors
from cellferry.seurat.expression import expression_of

COUNTS = np.array([[1.0, 0, 3], [0, 2, 0]])
DATA = np.log1p(COUNTS)
SCALED = DATA - DATA.mean(axis=0)


def adata(x=None, genes=("a", "b", "c"), raw=None, **layers):
    made = anndata.AnnData(x, var=pd.DataFrame(index=list(genes)), shape=None)
    for name, values in layers.items():
        made.layers[name] = values
    if raw is not None:
        made.raw = raw
    return made


def actions(found):
    return {(i.item, i.action) for i in found.items}


def same(found, **expected):
    assert set(found.layers) == set(expected)
    for name, values in expected.items():
        got = found.layers[name]
        np.testing.assert_array_equal(got.toarray() if sp.issparse(got) else got, values)


def test_normalized_x_is_data_and_the_layer_counts_is_counts():
    same(expression_of(adata(sp.csr_matrix(DATA), counts=COUNTS)), data=DATA, counts=COUNTS)


def test_whole_numbers_in_x_are_counts():
    same(expression_of(adata(COUNTS)), counts=COUNTS)


def test_raw_counts_beside_normalized_x():
    found = expression_of(adata(DATA, raw=adata(COUNTS)))
    same(found, data=DATA, counts=COUNTS)


def test_scaled_x_is_scale_data_and_raw_is_the_data():
    found = expression_of(adata(SCALED, raw=adata(DATA)))
    same(found, **{"scale.data": SCALED, "data": DATA})
    assert ("X", "coerced") in actions(found)


def test_raw_is_joined_by_the_names_of_genes():
    wide = adata(COUNTS[:, [2, 1, 0]], genes=("c", "b", "a"))
    found = expression_of(adata(DATA[:, :2], genes=("a", "b"), raw=wide))
    same(found, data=DATA[:, :2], counts=COUNTS[:, :2])
    (item,) = [i for i in found.items if i.item == "raw"]
    assert item.why == "1 genes of raw are not in X and are left behind."


def test_raw_is_left_when_its_place_is_taken():
    found = expression_of(adata(DATA, counts=COUNTS, raw=adata(COUNTS)))
    assert ("raw", "left") in actions(found)
    same(found, data=DATA, counts=COUNTS)


def test_the_choice_of_the_user_comes_first():
    found = expression_of(
        adata(COUNTS, spliced=COUNTS + 1, norm=DATA), counts="spliced", data="norm"
    )
    same(found, counts=COUNTS + 1, data=DATA)
    assert ("X", "left") in actions(found)


@pytest.mark.parametrize("main", ["counts", "scale.data"])
def test_x_goes_back_to_where_it_came_from(main):
    other = "counts" if main == "scale.data" else "data"
    found = expression_of(adata(SCALED, **{other: COUNTS}), main=main)
    same(found, **{main: SCALED, other: COUNTS})


def test_errors_name_what_is_valid():
    with pytest.raises(errors.InvalidOptionError, match='no matrix "cuonts"') as caught:
        expression_of(adata(DATA, counts=COUNTS), counts="cuonts")
    assert caught.value.hint == 'Did you mean "counts"?'
    with pytest.raises(errors.LayerMissingError, match="neither counts nor"):
        expression_of(adata(SCALED))
    narrow = adata(COUNTS[:, :2], genes=("a", "b"))
    with pytest.raises(errors.InvalidOptionError, match="lacks 1 of the genes"):
        expression_of(adata(DATA, raw=narrow))
