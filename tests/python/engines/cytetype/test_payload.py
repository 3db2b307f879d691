import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paths
from cellferry import errors
from cellferry.annotate.request import build_study
from cellferry.engines.cytetype.options import Options
from cellferry.engines.cytetype.payload import CLIENT_VERSION, ClusterIds, build_payload
from cellferry.study.build import Reading
from cellferry.study.study import Context
from cellferry.study.summary import summarise
from cytetype_objects import OBJECTS, OPTIONS, plain, symbols_in_a_column

RECORDED = paths.RECORDED / "cytetype_payloads_0_19_4.json.gz"
with gzip.open(RECORDED) as stored:
    PUBLISHED = json.load(stored)

READING = Reading(coordinates_key="X_umap", symbols=True)


def payload(adata, context=None, **options):
    context = context or Context(study_context="a study")
    study = build_study(adata, group_key="cluster", context=context, reading=READING)
    chosen = Options(**{"metadata": {"run": "v1"}, **options})
    made = build_payload(study, chosen, summarise(study, chosen.for_summary()))
    return json.loads(json.dumps(made, allow_nan=False))


@pytest.mark.parametrize("case", PUBLISHED["payloads"])
def test_the_payload_is_that_of_the_published_client(case):
    name, option = case.split("/")
    ours, theirs = payload(OBJECTS[name](), **OPTIONS[option]), PUBLISHED["payloads"][case]
    assert PUBLISHED["client"] == "cytetype 0.19.4"
    assert ours["clientInfo"] == {"clientType": "anndata", "clientVersion": CLIENT_VERSION}
    ours["clientInfo"] = theirs["clientInfo"]
    assert set(ours) == set(theirs)
    for part in theirs:
        assert ours[part] == theirs[part], part


def test_client_version():
    assert "cellferry" in payload(plain())["clientInfo"]["clientVersion"]


def test_tissue_and_species():
    context = Context("blood", "human", "Human PBMC")
    assert payload(plain(), context)["studyInfo"] == "Human PBMC Tissue: blood."
    assert payload(plain(), Context())["studyInfo"] == ""


def test_raw_is_read():
    adata = plain()
    adata.raw = adata.copy()
    fewer = adata[:, :20].copy()
    fewer.raw = adata.raw.to_adata()
    assert payload(fewer) == payload(plain())


def test_blank_symbols_and_duplicate_symbols():
    adata = symbols_in_a_column()
    symbols = adata.var["gene_symbols"].astype(object)
    symbols.iloc[3] = None
    symbols.iloc[5] = symbols.iloc[4]
    adata.var["gene_symbols"] = symbols
    whole, found = payload(symbols_in_a_column()), payload(adata)
    assert "" not in found["expressionData"]
    assert found["expressionData"][adata.var_names[3]] == whole["expressionData"]["SYMB3"]
    pair = [whole["expressionData"][f"SYMB{i}"] for i in (4, 5)]
    assert found["expressionData"]["SYMB4"] == {c: max(p[c] for p in pair) for c in pair[0]}
    assert "SYMB5" not in found["expressionData"]
    for genes in found["markerGenes"].values():
        assert len(set(genes)) == len(genes)


def test_scaled_values():
    adata = plain()
    adata.X = adata.X.toarray() - 0.5
    assert payload(adata)["expressionData"] == {}


def test_unused_categories():
    adata = plain()
    adata.obs["cluster"] = adata.obs["cluster"].cat.add_categories("empty")
    assert payload(adata) == payload(plain())


def test_missing_coordinates_and_cells_without_cluster():
    adata = plain()
    adata.obsm["X_umap"][4, 1] = np.nan
    adata.obsm["X_umap"][5, 0] = np.inf
    found = payload(adata)
    assert len(found["visualizationData"]["coordinates"]) == adata.n_obs - 2
    adata.obs["cluster"] = adata.obs["cluster"].where(np.arange(adata.n_obs) > 9)
    found = payload(adata)
    assert len(found["visualizationData"]["clusters"]) == adata.n_obs - 10
    assert set(found["clusterLabels"]) == {"0", "1", "10", "2"}


def test_metadata_values():
    tags = payload(plain(), metadata={"n": 3.0, "x": 0.5, "ok": True, "doi": "https://doi.org/1"})
    assert tags["infoTags"] == {"n": "3", "x": "0.5", "ok": "true", "doi": "https://doi.org/1"}


def test_markers_of_seurat_are_ranked_by_fold_change_and_lower_genes_are_none():
    table = pd.DataFrame(
        {
            "cluster": ["a", "a", "a", "b"],
            "gene": ["CD3E", "CD79A", "MS4A1", "IL7R"],
            "avg_log2FC": [1.0, 2.0, -3.0, 0.5],
            "p_val_adj": [0.9, 0.9, 0.0, 0.0],
            "p_val": [0.9, 0.9, 0.0, 0.0],
            "pct.1": [0.5] * 4,
            "pct.2": [0.1] * 4,
        }
    )
    study = build_study(table)
    assert build_payload(study, Options(), None)["markerGenes"] == {
        "a": ["CD79A", "CD3E"],
        "b": ["IL7R"],
    }


def test_a_table_alone_has_no_expression_coordinates_or_metadata():
    found = build_payload(build_study({"B": ["CD79A"], "T": ["CD3E"]}), Options(), None)
    assert found["expressionData"] == {}
    assert found["visualizationData"] == {"coordinates": None, "clusters": []}
    assert found["clusterMetadata"] == {"B": {}, "T": {}}


def test_without_any_marker_nothing_is_sent():
    study = build_study({"B": ["CD79A"]}).with_parts(markers=None)
    with pytest.raises(errors.MarkersRequiredError):
        build_payload(study, Options(), None)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=9, unique=True))
def test_ids_lead_back_to_exactly_their_cluster(names):
    ids = ClusterIds.of(tuple(names))
    assert len(set(ids.by_cluster.values())) == len(names)
    for name in names:
        assert ids.cluster(ids.by_cluster[name]) == name
    assert ids.cluster("no such id") is None
