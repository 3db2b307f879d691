import numpy as np
import pytest

from cellferry.engines import create_engine, engine_options
from cellferry.engines.local import Local
from cellferry.errors import (
    EngineNeedsError,
    InvalidOptionError,
    KnowledgeError,
    UnknownOptionError,
)
from cellferry.runs.worker import CancelledWork, Events
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Study
from local_tables import BLOOD, KNOWLEDGE, Journal, answers, listed, lists, table

# ---- options


def test_options_are_those_of_the_registry_and_make_the_same_engine_again():
    assert list(engine_options("local")) == [
        "n_genes",
        "tissue_only",
        "knowledge",
        "knowledge_only",
        "measured",
    ]
    engine = create_engine(
        "local", {"n_genes": 30, "tissue_only": True, "measured": ["CD3D", "CD3E"]}
    )
    assert dict(create_engine("local", engine.describe()).describe()) == dict(engine.describe())
    with pytest.raises(UnknownOptionError, match="n_gene"):
        create_engine("local", {"n_gene": 30})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_genes": 0}, "at least 1"),
        ({"n_genes": 2.5}, "whole number"),
        ({"n_genes": True}, "whole number"),
        ({"n_genes": "many"}, "whole number"),
        ({"n_genes": float("nan")}, "whole number"),
        ({"n_genes": float("inf")}, "whole number"),
        ({"tissue_only": "yes"}, "True or False"),
        ({"knowledge_only": True}, "table of your own"),
        ({"knowledge": 7}, "path"),
    ],
)
def test_wrong_values_are_refused_before_anything_runs(options, said):
    with pytest.raises(InvalidOptionError, match=said):
        Local(**options)


def test_nothing_leaves_the_machine_and_nothing_is_paid():
    engine = Local()
    assert engine.capabilities.sends == frozenset()
    assert engine.capabilities.host is None
    assert engine.capabilities.needs == {"markers"}
    markers = table(BLOOD)
    plan = engine.plan(Study(Clusters(markers.clusters), markers=markers))
    assert (plan.clusters, plan.calls, plan.bytes_sent, plan.cost_usd) == (5, 0, 0, 0)
    assert "human" in plan.notes[0]


def test_a_study_without_markers_is_refused():
    with pytest.raises(EngineNeedsError):
        Local().plan(Study(Clusters(("0",))))


# ---- answers


def test_clear_clusters():
    found = answers(Local(), table(BLOOD))
    labels = list(found.labels().values())
    assert labels == ["T cell", "B cell", "Classical monocyte", "NK cell", "Platelet"]
    assert all(row.mixed == () for row in found)
    assert all(row.confidence_kind == "calibrated" for row in found)


def test_rows_follow_the_study_and_clusters_without_rows_are_skipped():
    found = answers(Local(), table(BLOOD), clusters=("4", "no markers", "0"))
    assert [row.cluster for row in found] == ["4", "no markers", "0"]
    skipped = found["no markers"]
    assert (skipped.status, skipped.label) == ("skipped", None)
    assert "no rows" in skipped.error
    assert "no markers" not in found.evidence


def test_sizes_and_numbers_of_markers_are_reported():
    markers = table({"0": BLOOD["0"], "1": BLOOD["1"]}, filler=10)
    clusters = Clusters.from_labels(["0", "0", "1"])
    found = Local().run(Study(clusters, markers=markers), Journal(), Events())
    assert found.column("n_cells") == [2, 1]
    assert found.column("n_markers") == [len(BLOOD["0"]) + 10, len(BLOOD["1"]) + 10]


@pytest.mark.parametrize("gene", ["CD79A", "PPBP", "GAPDH"])
def test_lists_of_one_gene_are_unknown(gene):
    assert answers(Local(), lists({"0": [gene]}))["0"].status == "unknown"
    assert answers(Local(), table({"0": [gene]}, filler=0))["0"].status == "unknown"


def test_mouse_clusters_by_mouse_symbols():
    mouse = {
        "B": listed("B cell", "mouse"),
        "N": listed("Neutrophil", "mouse"),
        "M": listed("Macrophage", "mouse"),
        "K": listed("NK cell", "mouse"),
    }
    found = answers(Local(), table(mouse))
    assert list(found.labels().values()) == ["B cell", "Neutrophil", "Macrophage", "NK cell"]
    assert found.provenance["species"] == "mouse"


def test_symbols_are_never_upper_cased_to_match():
    wrong = {"0": [gene.upper() for gene in listed("NK cell", "mouse")]}
    lower = {"0": [gene.lower() for gene in listed("B cell")]}
    assert answers(Local(), table(lower), species="human")["0"].status == "unknown"
    assert answers(Local(), table(wrong), species="mouse")["0"].status == "unknown"


def test_a_stated_species_is_used_and_another_one_falls_back_to_what_matches():
    human = table(BLOOD)
    assert answers(Local(), human, species="Homo sapiens").provenance["species"] == "human"
    assert answers(Local(), human, species="mouse")["0"].status == "unknown"
    macaque = answers(Local(), human, species="macaque").provenance
    assert (macaque["species"], macaque["species_read"]) == ("rhesus macaque", "human")
    assert macaque["species_from"] == "stated"
    fish = answers(Local(), table({"0": ["cd79a", "ighm", "pax5"]}), species="zebrafish")
    assert fish["0"].status == "unknown"


def test_non_immune_clusters_are_not_forced_into_immune_labels():
    tissue = ("Hepatocyte", "Fibroblast", "Endothelial cell", "Neuron", "Enterocyte", "Melanocyte")
    found = answers(Local(), table({name: listed(name) for name in tissue}))
    assert {row.cluster: row.label for row in found} == {name: name for name in tissue}


def test_cells_of_no_listed_type_are_unknown():
    enamel = ["AMELX", "AMBN", "ENAM", "AMTN", "ODAM", "KLK4", "DSPP", "SLC24A4", "FAM83H"]
    found = answers(Local(), table({"0": enamel}), genes=None)
    assert found["0"].status == "unknown"


def test_one_lineage_is_not_forced_into_several():
    """All clusters are T cells, so CD3 genes are no markers of any of them."""
    own = {
        "naive": ["CCR7", "LEF1", "TCF7", "SELL", "PIK3IP1", "TSHZ2", "FHIT"],
        "regulatory": ["FOXP3", "IL2RA", "CTLA4", "IKZF2", "TIGIT", "RTKN2", "TNFRSF18"],
        "cytotoxic": ["CD8A", "CD8B", "GZMH", "GZMB", "PRF1", "NKG7", "CCL5", "FGFBP2", "GZMA"],
        "weak": ["IL7R", "LTB"],
    }
    found = answers(Local(), table(own))
    assert found["regulatory"].label == "Regulatory T cell"
    assert found["cytotoxic"].label in {"Effector CD8 T cell", "CD8 T cell"}
    for row in found:
        if row.status == "ok":
            assert KNOWLEDGE.related(row.label, "T cell"), row
            assert row.mixed == ()


# ---- knowledge of the user


OWN_TABLE = "name\tparent\ttissue\tpositive\nRod\t\teye\tRHO*3 PDE6A*3 SAG*3 GNAT1*3 NRL*2\n"


def test_a_table_of_the_user_is_merged_or_used_alone(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text(OWN_TABLE)
    markers = table({"0": ["RHO", "PDE6A", "SAG", "GNAT1", "NRL"], "1": BLOOD["1"]})
    merged = answers(Local(knowledge=path), markers)
    assert list(merged.labels().values()) == ["Rod", "B cell"]
    alone = answers(Local(knowledge=str(path), knowledge_only=True), markers)
    assert list(alone.labels().values()) == ["Rod", "Unknown"]
    assert alone.provenance["knowledge"] != merged.provenance["knowledge"]
    assert alone["0"].ontology_id is None


def test_a_wrong_table_is_refused_when_the_engine_is_made(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text(OWN_TABLE.replace("*2", "*9"))
    with pytest.raises(KnowledgeError, match='line 2, column "positive"'):
        Local(knowledge=path)


def test_tissue_only_restricts_and_needs_a_tissue_that_is_known():
    markers = table({"0": listed("Hepatocyte")})
    assert answers(Local(tissue_only=True), markers, tissue="liver")["0"].label == "Hepatocyte"
    blood = answers(Local(tissue_only=True), markers, tissue="blood")
    assert blood["0"].label != "Hepatocyte"
    with pytest.raises(InvalidOptionError, match="needs a tissue"):
        answers(Local(tissue_only=True), markers)
    with pytest.raises(InvalidOptionError, match="Atlantis") as caught:
        answers(Local(tissue_only=True), markers, tissue="Atlantis")
    assert "liver" in caught.value.hint


# ---- the run


def test_finished_units_are_reused_and_anything_that_matters_makes_new_ones():
    journal, markers = Journal(), table(BLOOD)
    first = answers(Local(), markers, journal=journal)
    assert len(journal.units) == 5
    assert answers(Local(), markers, journal=journal).rows == first.rows  # record() refuses twice
    answers(Local(n_genes=10), markers, journal=journal)
    answers(Local(), table(BLOOD, fold=2.0), journal=journal)
    answers(Local(), markers, journal=journal, species="mouse")
    assert len(journal.units) == 20


def test_progress_is_reported_and_an_interrupt_stops_between_clusters():
    markers = table(BLOOD)
    study = Study(Clusters(markers.clusters), markers=markers)
    seen = []
    events = Events()
    Local().run(study, Journal(), events)
    events.drain(seen.append)
    assert [(e.kind, e.done, e.total, e.unit) for e in seen] == [
        ("progress", i + 1, 5, c) for i, c in enumerate(markers.clusters)
    ]
    events.cancel()
    with pytest.raises(CancelledWork):
        Local().run(study, Journal(), events)


# ---- real data


LINEAGE = {
    "CD14+ Monocyte": {"Monocyte", "Mononuclear phagocyte"},
    "CD19+ B": {"B cell"},
    "CD34+": {"Hematopoietic precursor cell"},
    "CD56+ NK": {"NK cell"},
    "CD8+ Cytotoxic T": {"CD8 T cell"},
    "CD8+/CD45RA+ Naive Cytotoxic": {"T cell"},
    "CD4+/CD25 T Reg": {"T cell"},
    "CD4+/CD45RA+/CD25- Naive T": {"T cell"},
    "CD4+/CD45RO+ Memory": {"T cell"},
    "Dendritic": {"Dendritic cell", "Mononuclear phagocyte"},
}


@pytest.mark.parametrize("method", ["t-test", "wilcoxon"])
def test_sorted_blood_cells_get_their_lineage(method):
    import scanpy

    adata = scanpy.datasets.pbmc68k_reduced()
    scanpy.tl.rank_genes_groups(adata, "bulk_labels", method=method, pts=True)
    frame = scanpy.get.rank_genes_groups_df(adata, None)
    groups = tuple(adata.obs["bulk_labels"].cat.categories)
    markers = Markers(
        clusters=groups,
        cluster=np.array([groups.index(g) for g in frame["group"]], dtype=np.int32),
        gene=frame["names"].to_numpy(dtype=object),
        avg_log2fc=frame["logfoldchanges"].to_numpy(dtype=np.float64),
        p_val_adj=frame["pvals_adj"].to_numpy(dtype=np.float64),
        pct_1=frame["pct_nz_group"].to_numpy(dtype=np.float64),
        pct_2=frame["pct_nz_reference"].to_numpy(dtype=np.float64),
        source="scanpy",
    )
    found = answers(Local(), markers, genes=tuple(adata.raw.var_names))
    # A cluster of eight cells has too little evidence, and nothing is claimed of it.
    unknown = {row.cluster for row in found if row.status == "unknown"}
    assert unknown <= {"CD4+/CD45RA+/CD25- Naive T"}
    for row in (row for row in found if row.status == "ok"):
        above = {row.label, *KNOWLEDGE.ancestors[row.label]}
        assert above & LINEAGE[row.cluster], (row.cluster, row.label)
        assert row.mixed == ()
