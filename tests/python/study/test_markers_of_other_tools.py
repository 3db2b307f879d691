"""Tables of other tools: read as what they are, or named; every form comes back the same."""

import contextlib
import csv
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.errors import (
    CellferryError,
    MarkersFormatError,
    MarkersStatisticError,
    MarkersUnreadableError,
)
from cellferry.study.markers import files
from cellferry.study.markers.read import read_markers
from cellferry.study.markers.wide import find_wide
from speaking import speaking

GENES = {
    "0": ["CD3D", "CD3E", "IL7R", "TRAC", "LEF1"],
    "1": ["LYZ", "S100A8", "CD14", "FCN1", "VCAN"],
    "2": ["CD79A", "MS4A1", "BANK1", "CD19", "PAX5"],
}
STRENGTH = [4.0, 3.5, 3.0, 2.5, 2.0]
NAMES = pd.DataFrame(GENES)


def long(**columns):
    """One row per cluster and gene; a column is a list for each cluster, or a function of i."""
    rows = [{"c": c, "g": g, "i": i} for c, genes in GENES.items() for i, g in enumerate(genes)]
    frame = pd.DataFrame(rows)
    made = {n: frame[v] if isinstance(v, str) else frame["i"].map(v) for n, v in columns.items()}
    return pd.DataFrame(made)


def fold_change(i):
    return STRENGTH[i]


def p_value(i):
    return 10.0 ** -(20 - i)


MONOCLE3 = long(
    gene_id=lambda i: f"ENSG{i}", gene_short_name="g", cell_group="c", marker_score=fold_change,
    mean_expression=lambda i: 3.0, fraction_expressing=lambda i: 0.9, specificity=lambda i: 0.5,
    pseudo_R2=lambda i: 0.1, marker_test_p_value=p_value, marker_test_q_value=p_value,
)  # fmt: skip
SCRAN = long(
    **{"cluster": "c", "gene": "g", "Top": lambda i: i + 1, "p.value": p_value, "FDR": p_value,
       "summary.logFC": fold_change, "logFC.1": fold_change, "logFC.2": fold_change}
)  # fmt: skip
SCORED = long(
    **{"cluster": "c", "gene": "g", "self.average": lambda i: STRENGTH[i] + 1,
       "other.average": lambda i: 1.0, "self.detected": lambda i: 0.9,
       "other.detected": lambda i: 0.1, "mean.logFC.cohen": fold_change,
       "mean.AUC": lambda i: 0.9 - i / 100, "rank.AUC": lambda i: i}
)  # fmt: skip
DESEQ2 = long(
    cluster="c", gene="g", baseMean=lambda i: 100.0, log2FoldChange=fold_change,
    lfcSE=lambda i: 0.1, stat=lambda i: 9.0, pvalue=p_value, padj=p_value,
)  # fmt: skip
MUSCAT = long(
    **{"gene": "g", "cluster_id": "c", "logFC": fold_change, "logCPM": lambda i: 8.0,
       "F": lambda i: 7.0, "p_val": p_value, "p_adj.loc": p_value, "p_adj.glb": p_value,
       "contrast": lambda i: "stim-ctrl"}
)  # fmt: skip
LIMMA = long(
    **{"cluster": "c", "gene": "g", "logFC": fold_change, "AveExpr": lambda i: 2.0,
       "t": lambda i: 5.0, "P.Value": p_value, "adj.P.Val": p_value, "B": lambda i: 3.0}
)  # fmt: skip
CONSERVED = long(
    **{"cluster_id": "c", "gene": "g", "CTRL_p_val": p_value, "CTRL_p_val_adj": p_value,
       "CTRL_avg_log2FC": lambda i: STRENGTH[i] + 1, "CTRL_pct.1": lambda i: 0.9,
       "CTRL_pct.2": lambda i: 0.2, "STIM_p_val": p_value, "STIM_p_val_adj": lambda i: 0.01,
       "STIM_avg_log2FC": lambda i: STRENGTH[i] - 1, "STIM_pct.1": lambda i: 0.7,
       "STIM_pct.2": lambda i: 0.0, "max_pval": p_value, "minimump_p_val": p_value}
)  # fmt: skip
FIELDS = pd.DataFrame(
    {f"{c}_{field}": values for c, genes in GENES.items()
     for field, values in (("names", genes), ("scores", STRENGTH), ("logfoldchanges", STRENGTH),
                           ("pvals", [0.0] * 5), ("pvals_adj", [0.0] * 5))}
)  # fmt: skip
LETTERS = pd.DataFrame(
    {f"{c}_{f}": values for c, genes in GENES.items()
     for f, values in (("n", genes), ("p", [0.1, 0.2, 0.3, 0.4, 0.5]))}
)  # fmt: skip
COSG = pd.DataFrame(
    {f"{field}_{c}": values for c, genes in GENES.items()
     for field, values in (("names", genes), ("scores", STRENGTH))}
)  # fmt: skip


def cellranger(changes="Cluster {} Log2 fold change", p="Cluster {} Adjusted p value"):
    genes = [g for part in GENES.values() for g in part]
    frame = pd.DataFrame({"Feature ID": [f"ENSG{i}" for i in range(15)], "Feature Name": genes})
    for k, part in enumerate(GENES.values(), 1):
        frame[f"Cluster {k} Mean Counts"] = 1.0
        frame[changes.format(k)] = [STRENGTH[part.index(g)] if g in part else -2.0 for g in genes]
        frame[p.format(k)] = [1e-9 if g in part else 1.0 for g in genes]
    return frame


def best(markers):
    return {
        name: list(chosen.genes) for name, chosen in markers.select(ranking_method(markers)).items()
    }


def ranking_method(markers):
    return (markers.ranking_methods or ("avg_log2FC",))[0]


def both_ways(frame, tmp_path):
    """Read a table from memory and from a file."""
    frame.to_csv(tmp_path / "m.csv", index=False)
    with gzip.open(tmp_path / "m.tsv.gz", "wt") as file:
        frame.to_csv(file, sep="\t")
    return [
        read_markers(frame),
        read_markers(tmp_path / "m.csv"),
        read_markers(tmp_path / "m.tsv.gz"),
    ]


@pytest.mark.parametrize(
    "frame",
    [MONOCLE3, SCRAN, SCORED, DESEQ2, MUSCAT, LIMMA, CONSERVED, FIELDS, LETTERS, COSG, NAMES],
    ids=["monocle3", "scran", "scoreMarkers", "DESeq2", "muscat", "limma", "conserved", "fields",
         "letters", "COSG", "names"],
)  # fmt: skip
def test_a_table_of_another_tool_is_read(frame, tmp_path):
    for found in both_ways(frame, tmp_path):
        assert found.clusters == ("0", "1", "2")
        assert best(found) == GENES


@pytest.mark.parametrize("changes", ["Cluster {} Log2 fold change", "Cluster {} Log2 Fold Change"])
def test_differential_expression_of_cell_ranger(changes, tmp_path):
    p = "Cluster {} Adjusted p value" if "fold" in changes else "Cluster {} P-Value"
    for found in both_ways(cellranger(changes, p), tmp_path):
        assert found.clusters == ("1", "2", "3")
        assert list(best(found).values()) == list(GENES.values())
        assert len(found) == 45


def test_values_have_the_units_of_the_table():
    found = read_markers(SCORED)
    assert found.avg_log2fc[:2].tolist() == [4.0, 3.5]
    assert (found.pct_1[0], found.pct_2[0], found.score[0]) == (0.9, 0.1, 0.9)
    found = read_markers(CONSERVED)
    assert found.avg_log2fc[0] == 4.0
    assert found.pct_1[0] == pytest.approx(0.8)
    assert found.p_val_adj[0] == 0.01
    assert read_markers(MUSCAT).avg_log2fc[0] == 4.0


def test_a_group_without_a_gene_does_not_count_in_the_mean():
    frame = CONSERVED.copy()
    frame.loc[0, [c for c in frame if c.startswith("STIM")]] = np.nan
    assert read_markers(frame).avg_log2fc[0] == 5.0


def test_trap_two_columns_of_genes_are_never_clusters(tmp_path):
    two = NAMES[["0", "1"]]
    for frame in (two, two.set_axis(["T", "Mono"], axis=1)):
        for found in both_ways(frame, tmp_path):
            assert list(best(found).values()) == [GENES["0"], GENES["1"]]
    # Where a gene is twice in a column it is no ranking, and is refused.
    with pytest.raises(MarkersFormatError, match=r"genes in .* and no clusters"):
        read_markers(pd.DataFrame({"x": GENES["0"], "y": ["LYZ"] * 5}))


def test_clusters_beside_genes_stay_what_they_are():
    frame = pd.DataFrame(
        {"kind": ["T cell", "B cell", "Monocyte"], "best": ["CD3D", "CD79A", "LYZ"]}
    )
    assert best(read_markers(frame)) == {
        "B cell": ["CD79A"],
        "Monocyte": ["LYZ"],
        "T cell": ["CD3D"],
    }
    lists = pd.DataFrame({"T": ["CD3D,CD3E"], "B": ["CD79A,MS4A1"]})
    assert find_wide(list(lists), lists.to_dict("list")) is None


def test_columns_of_different_length_and_a_row_of_genes_for_each_cluster():
    ragged = NAMES.copy()
    ragged.loc[2:, "2"] = None
    assert best(read_markers(ragged))["2"] == GENES["2"][:2]
    rows = pd.DataFrame([[f"c{k}", *genes] for k, genes in GENES.items()])
    rows.columns = ["cluster", *"12345"]
    assert best(read_markers(rows)) == {f"c{k}": genes for k, genes in GENES.items()}


def test_one_table_for_each_cluster():
    columns = ["avg_log2FC", "p_val_adj"]
    single = {
        c: pd.DataFrame({"avg_log2FC": STRENGTH, "p_val_adj": [1e-9] * 5}, index=genes)
        for c, genes in GENES.items()
    }
    with_names = {c: f.rename_axis("names").reset_index() for c, f in single.items()}
    renamed = {c: f.assign(cluster=c) for c, f in single.items()}
    for frames in (single, with_names, renamed, {int(c): f for c, f in single.items()}):
        found = read_markers(frames)
        assert best(found) == GENES
        assert found.avg_log2fc[:5].tolist() == STRENGTH
    joined = pd.concat(single)
    assert best(read_markers(joined)) == GENES
    assert best(read_markers(pd.concat(single, names=["group", "names"]))) == GENES
    without = {c: f.reset_index(drop=True) for c, f in single.items()}
    with pytest.raises(MarkersFormatError, match="neither a column of genes nor row names"):
        read_markers(without)
    assert set(columns) <= set(single["0"])
    named = {"T cell": single["0"], "B cell": single["2"]}
    assert read_markers(named).clusters == ("T cell", "B cell")


def test_names_of_a_ranking_as_an_array():
    array = NAMES.to_records(index=False)
    assert best(read_markers(array)) == GENES


@pytest.mark.parametrize(
    ("column", "kind", "option"),
    [("cluster_final", "clusters", "cluster"), ("NBAtlas_label", "clusters", "cluster"),
     ("Population", "clusters", "cluster"), ("hgnc", "genes", "gene")],
)  # fmt: skip
def test_what_looks_like_it_is_named_with_the_option(column, kind, option, tmp_path):
    have = {"cluster": "0", "gene": "CD3D", "avg_log2FC": 1.0}
    have.pop(option)
    pd.DataFrame([{**have, column: "x"}]).to_csv(tmp_path / "m.csv", index=False)
    lines = {
        "python": f'read_markers(markers, {option}_column="{column}")',
        "r": f'ReadMarkers(markers, {option}.column = "{column}")',
        "cli": f'--{option}-column "{column}"',
    }
    for spoken, line in lines.items():
        with speaking(spoken), pytest.raises(MarkersFormatError) as caught:
            read_markers(tmp_path / "m.csv")
        assert f'"{column}" may be the {kind}' in caught.value.message
        assert line in caught.value.hint
    given = {f"{option}_column": column}
    assert len(read_markers(tmp_path / "m.csv", **given)) == 1


def test_a_fold_change_of_unknown_base_is_named():
    frame = long(cluster="c", gene="g", my_logFC=fold_change)
    with pytest.raises(MarkersStatisticError, match='"my_logFC" looks like a fold change'):
        read_markers(frame)


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    frame = pd.concat([SCRAN] * 40, ignore_index=True)
    frame.to_csv(tmp_path / "m.csv", index=False)
    with gzip.open(tmp_path / "m.csv.gz", "wt") as file:
        frame.to_csv(file, index=False)
    monkeypatch.setattr(files, "PIECE", 50)
    assert len(read_markers(tmp_path / "m.csv")) == 600
    # That genes are new in the first piece says nothing of how many there will be.
    monkeypatch.setattr(files, "MOST_BYTES", 8 * 600 * 5 + 15 * 200)
    assert len(read_markers(tmp_path / "m.csv")) == 600
    monkeypatch.setattr(files, "MOST_BYTES", 20_000)
    for name in ("m.csv", "m.csv.gz"):
        with pytest.raises(MarkersUnreadableError, match="too large") as caught:
            read_markers(tmp_path / name)
        assert "p_val_adj < 0.05" in caught.value.hint
    monkeypatch.setattr(files, "LONGEST_LINE", 40)
    with pytest.raises(MarkersUnreadableError, match="a line of more than"):
        read_markers(tmp_path / "m.csv")


def test_pieces_make_no_difference(tmp_path, monkeypatch):
    SCRAN.to_csv(tmp_path / "m.csv")
    whole = read_markers(tmp_path / "m.csv")
    monkeypatch.setattr(files, "PIECE", 4)
    again = read_markers(tmp_path / "m.csv")
    assert again.to_dict() == whole.to_dict()
    text = (tmp_path / "m.csv").read_text().replace("1e-16", "x")
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(MarkersFormatError, match=r'"p.value", row 5, but "x"'):
        read_markers(tmp_path / "m.csv")


def test_bytes_behind_the_first_piece_are_looked_at_too(tmp_path):
    rows = b"".join(b"0,CD3D%d\n" % i for i in range(9000))
    (tmp_path / "m.csv").write_bytes(b"cluster,gene\n" + rows + b"1,\0\n")
    with pytest.raises(MarkersUnreadableError, match="a binary file"):
        read_markers(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"cluster,gene\n" + rows + b"1,\xff\n")
    with pytest.raises(MarkersUnreadableError, match="line 9002 has a byte"):
        read_markers(tmp_path / "m.csv")


NAME = st.text("ABCDEFGHIKLMNPQRSTUVWXYZ0123456789", min_size=2, max_size=6).map(lambda t: "G" + t)
CLUSTER = st.text("abcxyz0123456789 é/|", min_size=1, max_size=5).filter(
    lambda t: t.strip() == t != ""
)
NUMBER = st.floats(0.25, 50, exclude_min=True, allow_nan=False)
TABLE = st.dictionaries(
    CLUSTER, st.dictionaries(NAME, NUMBER, min_size=2, max_size=6), min_size=2, max_size=4
)


def written(form, table):
    """Return a table in a form: as a frame or a dict."""
    if form == "frames":
        return {c: pd.DataFrame({"avg_log2FC": list(g.values())}, index=list(g))
                for c, g in table.items()}  # fmt: skip
    if form == "fields":
        columns = {}
        for c, genes in table.items():
            columns[f"{c}_names"] = pd.Series(list(genes))
            columns[f"{c}_logfoldchanges"] = pd.Series(list(genes.values()))
        return pd.DataFrame(columns)
    cluster, gene, change = {
        "seurat": ("cluster", "gene", "avg_log2FC"),
        "scanpy": ("group", "names", "logfoldchanges"),
        "scran": ("cluster", "gene", "summary.logFC"),
        "deseq2": ("cluster", "gene", "log2FoldChange"),
    }[form]
    rows = [(c, g, v) for c, genes in table.items() for g, v in genes.items()]
    return pd.DataFrame(rows, columns=[cluster, gene, change])


@settings(deadline=None, max_examples=30)
@given(TABLE, st.sampled_from(["seurat", "scanpy", "scran", "deseq2", "fields", "frames"]),
       st.sampled_from([",", "\t", ";"]))  # fmt: skip
def test_any_table_in_any_form_comes_back_the_same(tmp_path_factory, table, form, separator):
    made = written(form, table)
    sources = [made]
    if isinstance(made, pd.DataFrame):
        path = tmp_path_factory.mktemp("forms") / "m.csv"
        made.to_csv(path, sep=separator, index=False)
        sources.append(path)
    for source in sources:
        found = read_markers(source)
        back = {c: {} for c in found.clusters}
        for code, gene, value in zip(found.cluster, found.gene, found.avg_log2fc, strict=True):
            back[found.clusters[code]][gene] = value
        assert back == table


@settings(deadline=None, max_examples=30)
@given(TABLE, st.sampled_from([",", "\t", ";"]))
def test_any_wide_table_of_numbered_clusters_comes_back_the_same(
    tmp_path_factory, table, separator
):
    wide = {str(i): list(genes) for i, genes in enumerate(table.values())}
    frame = pd.DataFrame({c: pd.Series(genes) for c, genes in wide.items()})
    path = tmp_path_factory.mktemp("wide") / "m.csv"
    frame.to_csv(path, sep=separator)
    for source in (frame, path):
        found = read_markers(source)
        assert {c: list(s.genes) for c, s in found.select(n_genes=99).items()} == wide


CELL = st.one_of(
    st.text(max_size=8), st.sampled_from(["CD3D", "0", "1.5", "NA", "", "0_n", "p_val"])
)
HEADER = st.sampled_from(
    ["cluster", "gene", "avg_log2FC", "0_names", "0_scores", "1_names",
     "Cluster 1 Log2 fold change", "Feature Name", "names", "group", "A_avg_log2FC", "self.average",
     "other.average", "0", "1", ""]
)  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(
    st.lists(HEADER, min_size=1, max_size=5),
    st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=5),
)
def test_any_text_table_is_read_or_explained(tmp_path_factory, header, rows):
    path = tmp_path_factory.mktemp("any") / "m.csv"
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows([header, *rows])
    with contextlib.suppress(CellferryError):
        found = read_markers(path)
        assert len(found)
        assert all(found.gene)
