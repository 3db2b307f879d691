"""Marker tables from files, small and real, and how the modules are imported."""

import csv
import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import (
    MarkersFormatError,
    MarkersUnreadableError,
)
from cellferry.study.markers.read import read_markers
from marker_tables import SEURAT, genes
from paths import PACKAGE, SHARED

DATA = SHARED / "data"


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("zipped", [True, False])
def test_file_and_frame_give_the_same_table(tmp_path, separator, zipped):
    path = tmp_path / ("m.txt.gz" if zipped else "m.txt")
    SEURAT.to_csv(path, sep=separator, encoding="utf-8-sig")
    assert read_markers(path).to_dict() == read_markers(SEURAT).to_dict()
    assert read_markers(str(path)).to_dict() == read_markers(SEURAT).to_dict()


def test_decimal_comma_of_write_csv2(tmp_path):
    SEURAT.to_csv(tmp_path / "m.csv", sep=";", decimal=",")
    assert read_markers(tmp_path / "m.csv").avg_log2fc.tolist() == SEURAT["avg_log2FC"].tolist()


def test_numbers_that_are_none_are_named(tmp_path):
    SEURAT.assign(p_val="<2e-16").to_csv(tmp_path / "m.csv")
    with pytest.raises(MarkersFormatError, match='"p_val", row 1, but "<2e-16"'):
        read_markers(tmp_path / "m.csv")


def test_binary_file_and_missing_file(tmp_path):
    (tmp_path / "m.csv").write_bytes(gzip.compress(b"X\n\0\0\0\3"))
    with pytest.raises(MarkersUnreadableError, match="an R object"):
        read_markers(tmp_path / "m.csv")
    with pytest.raises(MarkersUnreadableError, match="no file"):
        read_markers("absent.csv")


CLUSTERS = st.lists(
    st.one_of(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
            min_size=1,
            max_size=9,
        ),
        st.sampled_from(
            [
                "0",
                "10",
                "007",
                "7_0",
                "1.0",
                "1e5",
                "NA",
                "nan",
                "TRUE",
                " 0",
                "0 ",
                "CD4+ T, naïve",
            ]
        ),
        st.text("0123456789.,;'\" \t", min_size=1, max_size=4),
    ),
    min_size=1,
    unique=True,
)


@given(CLUSTERS)
def test_names_of_clusters_survive_a_file_exactly(tmp_path_factory, clusters):
    path = tmp_path_factory.mktemp("clusters") / "m.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["cluster", "gene", "avg_log2FC"])
        writer.writerows([(c, f"G{i}", i + 1) for i, c in enumerate(clusters)])
    found = read_markers(path)
    assert genes(found) == {c: [f"G{i}"] for i, c in enumerate(clusters)}


@pytest.mark.slow
@given(CLUSTERS, st.sampled_from(["category", "object"]))
def test_names_of_clusters_survive_a_frame_exactly(clusters, dtype):
    column = pd.Series(clusters, dtype="object")
    if dtype == "category":
        column = column.astype(pd.CategoricalDtype(clusters))
    frame = pd.DataFrame({"cluster": column, "gene": "A", "avg_log2FC": 1.0})
    found = read_markers(frame)
    assert set(found.clusters) == set(clusters)
    assert dtype == "object" or list(found.clusters) == clusters


@pytest.mark.parametrize(
    ("file", "rows", "clusters", "first"),
    [
        (
            "findallmarkers_large_intestine_6clusters.csv.gz",
            31313,
            6,
            {"plasma cell", "monocyte (inaccurate annotation)"},
        ),
        ("findallmarkers_scmayomap_10clusters.csv.gz", 28403, 10, {str(i) for i in range(10)}),
    ],
)
def test_real_tables_of_seurat(file, rows, clusters, first):
    if not (DATA / file).exists():
        pytest.skip("the reference data are not here")
    found = read_markers(DATA / file)
    assert (len(found), len(found.clusters)) == (rows, clusters)
    assert found.source == "seurat"
    assert first <= set(found.clusters)
    frame = pd.read_csv(DATA / file, dtype={"cluster": str}, keep_default_na=False)
    assert found.gene.tolist() == frame["gene"].tolist()
    assert [found.clusters[i] for i in found.cluster] == frame["cluster"].tolist()
    np.testing.assert_allclose(found.avg_log2fc, frame["avg_log2FC"], rtol=1e-15)
    assert read_markers(frame).to_dict()["gene"] == found.gene.tolist()
    assert all(len(s.genes) == 50 for s in found.select().values())


def test_reading_a_file_does_not_import_pandas(tmp_path):
    SEURAT.to_csv(tmp_path / "m.csv")
    code = (
        "import sys; from cellferry.study.markers.read import read_markers; "
        "read_markers(sys.argv[1]).select(); sys.exit('pandas' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.csv")],
        check=True,
        env={"PYTHONPATH": str(PACKAGE)},
    )
