import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from cellferry import errors
from cellferry.study.embeddings import choose_embedding, embedding_of

TABLE = json.loads((Path(__file__).parents[2] / "fixtures" / "embedding_choice.json").read_text())


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case["name"])
def test_the_embedding_is_chosen_as_in_r(case):
    available = {}
    for i, embedding in enumerate(case["embeddings"]):
        values = np.full((case["n_cells"], embedding["columns"]), float(i))
        if embedding["missing"] is not None:
            values[tuple(embedding["missing"])] = np.nan
        available[embedding["name"]] = values.astype(str) if embedding["text"] else values
    found = choose_embedding(available, case["n_cells"])
    assert (found and found[0]) == case["chosen"]


@pytest.mark.parametrize(
    ("available", "key", "expected"),
    [
        ({"X_umap": (3, 2)}, "X_umap", "X_umap"),
        ({"X_UMAP": (3, 2)}, "x_umap", "X_UMAP"),
        ({"X_pca": (3, 9), "X_tsne": (3, 2)}, "X_umap", "X_tsne"),
        ({"X_umap": (3, 1), "X_pca": (3, 9)}, "X_umap", "X_pca"),
        ({"X_umap": (2, 2)}, "X_umap", None),
        ({"other": (3, 2)}, "X_umap", "other"),
        ({"X_umap": (3, 2), "other": (3, 2)}, "Other", "other"),
    ],
)
def test_the_first_usable_embedding_is_taken(available, key, expected):
    given = {name: np.zeros(shape, dtype=np.float32) for name, shape in available.items()}
    found = choose_embedding(given, 3, key)
    assert (found and found[0]) == expected
    if found:
        assert found[1].shape == (3, 2)
        assert found[1].dtype == np.float32


def test_an_embedding_may_be_a_data_frame():
    frame = pd.DataFrame({"one": [1.0, 2.0], "two": [3.0, 4.0]})
    found = choose_embedding({"X_umap": frame}, 2, "X_umap")
    np.testing.assert_array_equal(found[1], [[1, 3], [2, 4]])


def test_the_embedding_is_the_named_or_the_first_usual_one(blood):
    assert embedding_of(blood)[0] == "X_umap"
    name, values = embedding_of(blood, "X_pca")
    assert name == "X_pca"
    assert values.shape == (700, 2)
    with pytest.raises(errors.GroupMissingError, match='no embedding "X_tsne"'):
        embedding_of(blood, "X_tsne")
    assert embedding_of(anndata.AnnData(np.ones((2, 3)))) is None
