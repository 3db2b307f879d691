"""The consensus of labels in an AnnData: who is found, what is written, what persons decide."""

import io

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry import errors
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.labelling.objects import attach
from cellferry.annotations.report import render
from cellferry.study.clusters import Clusters


def labelled(adata, key, labels, engine="local", **provenance):
    """Write labels of the clusters in `leiden` as an engine would have."""

    def row(cluster, label):
        if label is None:
            return Annotation(cluster, "failed", error="It broke.", engine=engine)
        return Annotation(cluster, "ok", label=label, engine=engine, confidence=0.8,
                          confidence_kind="graded", supporting=(f"GENE{cluster}",))  # fmt: skip

    clusters = Clusters.from_column(adata.obs["leiden"])
    known = {
        "key": key, "engine": engine, "level": "clusters", "group_key": "leiden",
        "created": f"2026-01-01T00:00:0{len(adata.uns.get('cellferry', {}))}", **provenance,
    }  # fmt: skip
    rows = tuple(row(c, x) for c, x in labels.items())
    attach(adata, Annotations(rows, provenance=known), clusters, key)


@pytest.fixture
def adata():
    obs = pd.DataFrame(
        {
            "leiden": pd.Categorical(["0"] * 4 + ["1"] * 4 + ["2"] * 2),
            "SingleR.labels": ["T_cells"] * 4 + ["B_cell"] * 3 + ["Monocyte"] + [None] * 2,
            "predicted_labels": ["Type 17 helper T cells"] * 4
            + ["B cells"] * 4
            + ["Fibroblasts"] * 2,
            "conf_score": [0.9] * 10,
        },
        index=[f"cell{i}" for i in range(10)],
    )
    made = anndata.AnnData(np.zeros((10, 1)), obs)
    labelled(made, "cell_type", {"0": "CD4 T cell", "1": "B cell", "2": None})
    return made


def test_without_from_it_lists_what_is_found_and_writes_nothing(adata):
    before = list(adata.obs)
    found = cellferry.consensus(adata)
    assert found["name"].tolist() == ["cell_type", "celltypist", "singler"]
    assert found["columns"].tolist() == ["cell_type", "predicted_labels", "SingleR.labels"]
    assert found["labels"].tolist() == [2, 3, 3]
    assert list(adata.obs) == before


def test_rows_are_the_clusters_of_the_first_annotation(adata):
    found = cellferry.consensus(adata, ["cell_type", "celltypist", "SingleR.labels"])
    assert found.labels() == {"0": "CD4 T cell", "1": "B cell", "2": "Fibroblasts"}
    assert [r.n_cells for r in found] == [4, 4, 2]
    assert found["1"].confidence == pytest.approx(2.75 / 3)
    assert found["2"].confidence is None
    assert found["0"].supporting == ("GENE0",)
    assert (
        adata.obs["consensus"].tolist() == ["CD4 T cell"] * 4 + ["B cell"] * 4 + ["Fibroblasts"] * 2
    )
    votes = {v["engine"]: v for v in found.evidence["2"]["votes"]}
    assert (votes["cell_type"]["status"], votes["cell_type"]["error"]) == ("failed", "It broke.")
    assert found.provenance["consensus"]["from"][1] == {
        "name": "celltypist", "group": "celltypist", "weight": 1.0,
        "columns": ["predicted_labels"], "decided": 0,
    }  # fmt: skip


def test_it_is_an_annotation_like_any_other(adata, tmp_path):
    cellferry.consensus(adata, ["cell_type", "celltypist", "singler"], levels=True)
    assert adata.obs["consensus_broad"].tolist()[0] == "Leukocyte"
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    again = anndata.read_h5ad(path)
    found = cellferry.read_annotations(again, "consensus")
    assert found.labels()["0"] == "CD4 T cell"
    assert "CD4 T cell" in render(found)
    cellferry.set_labels(again, {"0": "Regulatory T cell"}, key="consensus")
    made = cellferry.consensus(again, ["cell_type", "celltypist", "singler"])
    assert (made["0"].label, made["0"].engine_label) == ("Regulatory T cell", "CD4 T cell")
    assert again.obs["consensus"].tolist()[0] == "Regulatory T cell"
    assert "consensus_broad" not in again.obs


def test_the_label_in_force_votes(adata):
    cellferry.set_labels(adata, {"2": "Fibroblast"}, key="cell_type")
    found = cellferry.consensus(adata, ["cell_type", "celltypist"])
    assert (found["2"].label, found["2"].confidence) == ("Fibroblast", 1.0)
    assert found.provenance["consensus"]["from"][0]["decided"] == 1


def test_two_engines_of_one_family_are_not_two(adata):
    labelled(adata, "other", {"0": "B cell", "1": "B cell", "2": "B cell"})
    labelled(adata, "third", {"0": "B cell", "1": "B cell", "2": "B cell"})
    found = cellferry.consensus(adata, ["cell_type", "other", "third"])
    assert found.evidence["0"]["n_groups"] == 1
    apart = cellferry.consensus(
        adata, ["cell_type", "other", "third"], groups={"other": "x", "third": "y"}, key="apart"
    )
    assert apart["0"].label == "B cell"
    assert apart["0"].confidence == pytest.approx(2 / 3)


def test_weights_are_of_groups(adata):
    labelled(adata, "other", {"0": "Fibroblast", "1": "B cell", "2": "B cell"}, "cytetype")
    asked = ["cell_type", "other", "celltypist"]
    assert cellferry.consensus(adata, asked)["0"].label == "CD4 T cell"
    heavy = cellferry.consensus(adata, asked, weights={"other": 5}, key="heavy")
    assert heavy["0"].status == "unknown"
    assert heavy["0"].alternatives[0] == "Fibroblast"


def test_without_an_annotation_each_cell_is_answered(adata):
    found = cellferry.consensus(adata, ["singler", "celltypist"], key="per_cell")
    assert found.counts() == {"ok": 10}
    assert adata.obs["per_cell"].tolist()[4:] == ["B cell"] * 3 + [
        "Mononuclear leukocyte", "Fibroblast", "Fibroblast"
    ]  # fmt: skip
    assert np.isnan(adata.obs["per_cell_confidence"].iloc[-1])
    again = cellferry.read_annotations(adata, "per_cell")
    assert again.provenance["level"] == "cells"


def test_clusters_may_be_named(adata):
    adata.obs["other"] = ["a"] * 5 + ["b"] * 5
    found = cellferry.consensus(adata, ["singler", "celltypist"], group_key="other")
    assert [r.cluster for r in found] == ["a", "b"]


def test_a_mapping_says_what_is_meant(adata):
    adata.obs["mine"] = ["Alpha"] * 4 + ["Beta"] * 6
    with pytest.warns(errors.LabelsUnresolvedWarning, match='2 labels are no term.*"Alpha"'):
        found = cellferry.consensus(adata, ["cell_type", "mine"])
    assert found.provenance["consensus"]["unresolved"] == ["Alpha", "Beta"]
    made = cellferry.consensus(
        adata, ["cell_type", "mine"], mapping={"alpha": "CL:0000624", "Beta": "B cells"}, key="c2"
    )
    assert made.labels()["0"] == "CD4 T cell"
    assert made["1"].confidence == 1


def test_cell_ranger_s_file_is_joined_by_barcode(adata, tmp_path):
    path = tmp_path / "cell_types.csv"
    table = pd.DataFrame({
        "barcode": adata.obs_names[::-1],
        "coarse_cell_type": ["fibroblast"] * 2 + ["b cell"] * 4 + ["t cell"] * 4,
        "fine_cell_type": ["fibroblast"] * 2 + ["naive b cell"] * 4 + ["b cell"] * 4,
    })  # fmt: skip
    table.to_csv(path, index=False)
    found = cellferry.consensus(adata, ["cell_type", str(path)])
    assert found.labels() == {"0": "T cell", "1": "B cell", "2": "fibroblast"}
    adata.obs_names = [f"x{i}" for i in range(10)]
    with pytest.raises(errors.InputError, match="None of the 10 cells is in"):
        cellferry.consensus(adata, ["singler", str(path)], key="c2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_": ["celtypist"]}, 'no annotation, column or known tool "celtypist"'),
        ({"from_": []}, "Nobody is to vote"),
        ({"from_": ["singler"], "weights": {"me": 2}}, '`weights` names "me"'),
        ({"from_": ["singler"], "weights": {"singler": 0}}, "must be a number above 0"),
        ({"from_": ["singler"], "groups": {"me": "x"}}, '`groups` names "me"'),
        ({"from_": ["singler", "cell_type"], "key": "cell_type"}, "names as a vote"),
        ({"from_": ["singler"], "mapping": {"x": "nothing"}}, "which is no term"),
        ({"from_": ["barcode"]}, "more than cell types can be"),
        ({"from_": ["conf_score"]}, "has numbers, which are no labels"),
        ({"from_": ["singler"], "group_key": "leidn"}, 'no column "leidn"'),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(adata, options, message):
    if options["from_"] == ["barcode"]:
        adata = anndata.AnnData(obs=pd.DataFrame({"barcode": [f"b{i}" for i in range(1001)]}))
    before = list(adata.obs)
    with pytest.raises(errors.CellferryError, match=message):
        cellferry.consensus(adata, **options)
    assert list(adata.obs) == before


def test_a_column_of_others_is_not_replaced(adata):
    adata.obs["consensus"] = "mine"
    with pytest.raises(errors.ColumnExistsError):
        cellferry.consensus(adata, ["singler", "celltypist"])
    cellferry.consensus(adata, ["singler", "celltypist"], overwrite=True)


def test_edits_by_hand_are_not_lost(adata):
    cellferry.consensus(adata, ["cell_type", "singler"])
    adata.obs["consensus"] = adata.obs["consensus"].astype(str)
    adata.obs.loc["cell0", "consensus"] = "Mine"
    with pytest.raises(errors.LabelsEditedError):
        cellferry.consensus(adata, ["cell_type", "singler"])


def test_another_clustering_has_no_genes_of_clusters_that_are_called_alike(adata):
    adata.obs["louvain"] = pd.Categorical(["1"] * 4 + ["0"] * 6)
    found = cellferry.consensus(adata, ["cell_type", "celltypist"], group_key="louvain")
    assert found["1"].label == "CD4 T cell"
    assert found["1"].supporting == ()


def test_no_anndata_is_refused():
    with pytest.raises(errors.UnsupportedObjectError, match="this is a StringIO"):
        cellferry.consensus(io.StringIO(), ["a"])


def test_a_file_gives_what_the_object_gives_and_stays_as_it_is(adata, tmp_path):
    path, output = tmp_path / "x.h5ad", tmp_path / "agreed.h5ad"
    adata.write_h5ad(path)
    before = path.read_bytes()
    votes = ["cell_type", "singler", "celltypist"]
    expected = cellferry.consensus(adata, votes)
    pd.testing.assert_frame_equal(cellferry.consensus(path), cellferry.consensus(adata))
    assert cellferry.consensus(path, votes).labels() == expected.labels()
    found = cellferry.consensus(str(path), votes, output=output)
    assert found.labels() == expected.labels()
    written = anndata.read_h5ad(output)
    assert written.obs["consensus"].tolist() == adata.obs["consensus"].tolist()
    assert cellferry.read_annotations(output, "consensus").labels() == expected.labels()
    assert path.read_bytes() == before
    compared = cellferry.compare_labels(output, "consensus", "singler")
    assert compared.rows == cellferry.compare_labels(adata, "consensus", "singler").rows


def test_where_the_object_goes_is_looked_at_before(adata, tmp_path):
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    with pytest.raises(errors.InvalidOptionError, match=r"must end in \.h5ad"):
        cellferry.consensus(path, ["singler", "celltypist"], output=tmp_path / "x.rds")
    with pytest.raises(errors.OutputError, match="exists"):
        cellferry.consensus(path, ["singler", "celltypist"], output=path)
    with pytest.raises(errors.InvalidOptionError, match="is for the object of a path"):
        cellferry.consensus(adata, ["singler", "celltypist"], output=tmp_path / "y.h5ad")
    (tmp_path / "m.csv").write_text("cluster,gene\n0,CD3D\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="a text file"):
        cellferry.consensus(tmp_path / "m.csv", ["singler"])
