import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cell_data import answer
from cellferry.annotations.delivery import columns, has_clusters
from cellferry.annotations.labelling.objects import attach
from cellferry.errors import InternalError
from cellferry.study.study import Clusters

KINDS = st.sampled_from(["T cell", "B cell", "Unknown", None])


def adata_of(names):
    return anndata.AnnData(np.zeros((len(names), 1)), obs=pd.DataFrame(index=names))


def clusters(labels):
    return Clusters.from_labels(labels)


@given(st.lists(KINDS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_every_cell_gets_its_own_label_in_any_order(labels, random):
    found = answer(labels)
    names = list(found.cells)
    random.shuffle(names)
    adata = adata_of(names)
    attach(adata, found, clusters(["0"] * len(labels)), "key")
    given_labels = dict(zip(found.cells, labels, strict=True))
    got = [None if pd.isna(x) else x for x in adata.obs["key"]]
    assert got == [given_labels[n] for n in names]
    assert list(adata.obs.columns) == ["key", "key_detail", "key_confidence",
                                       "key_ontology_id", "key_status"]  # fmt: skip


def test_majority_share_and_disagreement_go_beside_the_label():
    found = answer(["T cell", "T cell", "B cell", "Unknown", None])
    adata = adata_of(list(found.cells))
    attach(adata, found, clusters(["0", "0", "0", "1", "1"]), "key")
    assert adata.obs["key_majority"].tolist() == ["T cell"] * 3 + ["Unknown"] * 2
    assert adata.obs["key_majority_share"].tolist() == pytest.approx(
        [2 / 3] * 3 + [1.0] * 2, abs=1e-3
    )
    assert adata.obs["key_disagrees"].tolist() == [False, False, True, False, False]


def test_a_finer_type_does_not_disagree_with_its_kind():
    ontology = {"T cell": ("CL:0000084", ""), "CD8 T cell": ("CL:0000625", "")}
    found = answer(["T cell", "T cell", "CD8 T cell", "B cell"], ontology=ontology)
    made = {c.name: c.values for c in columns(found, "k", clusters(["0", "0", "0", "1"]))}
    assert made["k_disagrees"].tolist() == [False, False, False, False]


def test_one_cluster_is_no_clustering():
    assert not has_clusters(clusters(["0", "0"]))
    assert not has_clusters(Clusters((), np.full(2, -1, dtype=np.int32)))
    assert has_clusters(clusters(["0", "1"]))


def test_other_cells_are_refused():
    found = answer(["T cell"])
    with pytest.raises(InternalError, match="not about the cells"):
        attach(adata_of(["x"]), found, clusters(["0"]), "key")


def test_what_was_written_survives_a_file(tmp_path):
    found = answer(["T cell", None, "Unknown"])
    adata = adata_of(list(found.cells))
    attach(adata, found, clusters(["0", "1", "1"]), "key")
    adata.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert read.obs["key_status"].tolist() == ["ok", "skipped", "unknown"]
    assert read.obs["key_disagrees"].dtype == bool
