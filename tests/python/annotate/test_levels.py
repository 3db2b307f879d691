"""Broader labels beside the labels: written when asked for, following every decision."""

import pytest

import cellferry
from cellferry.errors import FreeTextLabelWarning

LEVELS = ["cell_type_broad", "cell_type_medium", "cell_type_fine"]


def levels_of(adata, cluster):
    at = adata.obs["louvain"] == cluster
    rows = adata.obs.loc[at, LEVELS].astype(object).drop_duplicates()
    assert len(rows) == 1
    return rows.iloc[0].tolist()


def test_levels_are_written_follow_decisions_and_go_when_they_are_not_wanted(blood):
    cellferry.annotate_clusters(blood, group_key="louvain", levels=True, progress=False)
    record = cellferry.read_annotations(blood)
    assert set(LEVELS) <= set(record.provenance["columns"])
    cluster = record.rows[0].cluster
    cellferry.set_labels(blood, {cluster: "Kupffer cell"})
    assert levels_of(blood, cluster) == ["Leukocyte", "Macrophage", "Kupffer cell"]
    with pytest.warns(FreeTextLabelWarning, match="no term of the Cell Ontology"):
        cellferry.set_labels(blood, {cluster: "my own type"})
    assert levels_of(blood, cluster) == ["my own type"] * 3
    cellferry.annotate_clusters(blood, group_key="louvain", levels=True, progress=False)
    assert levels_of(blood, cluster) == ["my own type"] * 3
    cellferry.annotate_clusters(blood, group_key="louvain", progress=False)
    assert not set(LEVELS) & set(blood.obs.columns)


def test_without_the_option_a_column_of_the_user_of_that_name_stays(blood):
    blood.obs["cell_type_broad"] = "mine"
    cellferry.annotate_clusters(blood, group_key="louvain", progress=False)
    assert set(blood.obs["cell_type_broad"]) == {"mine"}
