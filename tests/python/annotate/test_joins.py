"""Names of clusters that do not meet: which difference explains it, and the line that mends it."""

import unicodedata
import warnings

import numpy as np
import pandas as pd
import pytest

import cellferry
from cell_data import cells
from cellferry import errors
from cellferry.annotate.checks import check_study
from cellferry.annotate.joins import explain
from cellferry.study.clusters import Clusters
from cellferry.study.markers.read import read_markers
from cellferry.study.study import Study

GENES = ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]
T_GENES = ["CD3D", "CD3E", "CD3G", "CD2", "IL7R"]
E_ACUTE = "é"


@pytest.mark.parametrize(
    ("table", "here", "word"),
    [
        ("0.0", "0", "decimal"),
        ("0", "0.0", "decimal"),
        ("01", "1", "leading zeros"),
        ("c1", "c01", "leading zeros"),
        ("T cell ", "T cell", "blanks"),
        ("T\u00a0cell", "T cell", "blanks"),
        ("t cell", "T cell", "letter case"),
        ("1e+05", "100000", "1e+05"),
        ("True", "TRUE", "R: TRUE, Python: True"),
        (unicodedata.normalize("NFD", E_ACUTE), E_ACUTE, "Unicode form"),
        ("T_cell", "T-cell", "hyphens, dots and underscores"),
        ("Cluster 0", "0", "a word in front"),
        ("Cluster 01.0", "cluster_1", ""),
    ],
)
def test_each_difference_is_named_and_its_line_mends_it(table, here, word):
    found = explain([table], [here])
    if not word:
        assert found is None or found.pairs == {table: here}
        return
    assert found.pairs == {table: here}
    assert word in found.sentence()
    frame = pd.DataFrame({"cluster": [table] * 5, "gene": GENES})
    line = found.line().removeprefix("To mend it: ")
    exec(line, {"markers": frame})
    assert set(frame["cluster"]) == {here}


def test_several_differences_at_once_and_only_clear_pairs():
    both = explain(["T CELL ", "b cell"], ["T cell", "B cell"])
    assert both.pairs == {"T CELL ": "T cell", "b cell": "B cell"}
    assert len(both.differences) == 2
    assert explain(["a"], ["b"]) is None
    # Groups of samples are no clusters of the same number.
    assert explain(["0", "1", "2"], ["g1", "g2"]) is None
    assert explain(["a", "A"], ["a "]).pairs == {"a": "a "}
    assert explain(["t cell"], ["T cell", "T CELL"]) is None


def markers_of(*names):
    return read_markers({n: GENES if i % 2 else T_GENES for i, n in enumerate(names)})


def study_of(here, table):
    codes = np.arange(len(here), dtype=np.int32)
    return Study(Clusters(tuple(here), codes), group_key="type", markers=markers_of(*table))


def test_where_nothing_meets_the_error_says_why():
    with pytest.raises(errors.MarkersClustersError, match=r'"0.0" in the table is "0"') as caught:
        check_study(study_of(["0", "1"], ["0.0", "1.0"]))
    assert caught.value.hint.startswith("To mend it: new = {")
    with pytest.raises(errors.MarkersClustersError) as caught:
        check_study(study_of(["a", "b"], ["0", "1"]))
    assert "group_key=" in caught.value.hint
    assert "differ only" not in caught.value.message


@pytest.mark.parametrize(("spoken", "word"), [("r", "new <- c("), ("cli", "--group-key")])
def test_the_line_is_in_the_language_of_the_user(spoken, word):
    before = errors.language.set(spoken)
    try:
        with pytest.raises(errors.MarkersClustersError) as caught:
            check_study(study_of(["0", "1"], ["0.0", "1.0"]))
    finally:
        errors.language.reset(before)
    assert word in caught.value.hint


def test_a_single_cluster_that_does_not_meet_is_explained_in_the_warning():
    decomposed = unicodedata.normalize("NFD", "activé")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_study(study_of(["activé", "B"], [decomposed, "B"]))
    text = str(caught[0].message)
    assert "Unicode form" in text
    assert '"active\\u0301"' in text
    assert "RuntimeWarning" not in {w.category.__name__ for w in caught}


def test_a_cluster_with_an_empty_name_is_called_so():
    with pytest.warns(errors.ClustersWithoutMarkersWarning, match="an empty name") as caught:
        check_study(study_of(["", "B"], ["B"]))
    assert "Rows of a marker table without a cluster are left out" in str(caught[0].message)


@pytest.mark.parametrize("as_category", [False, True])
def test_true_and_false_are_as_r_has_them_where_the_table_is_of_r(tmp_path, as_category):
    adata = cells()
    truth = pd.Series(np.arange(adata.n_obs) % 2 == 0, index=adata.obs_names)
    adata.obs["responder"] = truth.astype("category") if as_category else truth
    path = tmp_path / "markers.csv"
    rows = [("TRUE", g) for g in GENES] + [("FALSE", g) for g in T_GENES]
    pd.DataFrame(rows, columns=["cluster", "gene"]).to_csv(path, index=False)
    found = cellferry.annotate_clusters(
        adata, path, group_key="responder", tissue="blood", progress=False
    )
    assert set(found.labels()) == {"TRUE", "FALSE"}
    assert adata.obs["cell_type"].notna().all()


def test_numpy_says_nothing_of_a_cluster_that_only_the_table_has():
    adata = cells()
    adata.obs["type"] = pd.Categorical(["B" if i % 3 == 0 else "other" for i in range(adata.n_obs)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cellferry.annotate_clusters(
            adata, {"B": GENES, "gone": T_GENES}, group_key="type", progress=False
        )
    assert not [w for w in caught if issubclass(w.category, RuntimeWarning)]
