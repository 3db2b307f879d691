import numpy as np

from artifact_data import make_study
from cellferry.artifacts.inputs import top_genes


def ranking(groupby="group", **names):
    columns = [np.array(v, dtype=object) for v in names.values()]
    return {
        "params": {"groupby": groupby},
        "names": np.rec.fromarrays(columns, names=list(names)),
    }


STUDY = make_study(np.ones((2, 3)), ["a", "b"])


def test_the_first_genes_in_the_stored_order_without_unknown_ones():
    stored = ranking(a=["g2", "elsewhere", "g0"], b=["g1", "g0", "g2"], gone=["g0"] * 3)
    found = top_genes(stored, ["g0", "g1", "g2"], 2, STUDY)
    assert found == {"a": ("g2",), "b": ("g1", "g0")}


def test_no_ranking_or_one_of_another_column_gives_nothing():
    assert top_genes(None, ["g0"], 5, STUDY) == {}
    assert top_genes(ranking("louvain", a=["g0"]), ["g0"], 5, STUDY) == {}
    assert top_genes({"params": {"groupby": "group"}}, ["g0"], 5, STUDY) == {}


def test_a_ranking_of_scanpy_is_read(blood):
    from cellferry.artifacts.inputs import open_inputs

    arguments = {"group_key": "louvain", "coordinates_key": "X_umap"}
    with open_inputs(blood, rank_key="rank_genes_groups", **arguments) as inputs:
        genes = inputs.study.normalized.genes
        found = top_genes(inputs.ranking, genes, 3, inputs.study)
    stored = blood.uns["rank_genes_groups"]["names"]
    assert found["0"] == tuple(stored["0"][:3])
    assert len(found) == blood.obs["louvain"].nunique()
