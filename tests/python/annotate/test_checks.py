import warnings

import numpy as np
import pytest

from cellferry import errors
from cellferry.annotate import checks
from cellferry.engines.base import Capabilities, Plan
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.markers.read import read_markers
from cellferry.study.study import Clusters, Context, Study

GENES = [f"GENE{i}" for i in range(12)]


@pytest.fixture
def clustered():
    """60 cells in three clusters of 20, each with four genes of its own."""
    random = np.random.default_rng(1)
    codes = np.repeat([0, 1, 2], 20)
    values = random.random((60, 12)) * (random.random((60, 12)) < 0.1)
    for cluster in range(3):
        own = slice(4 * cluster, 4 * cluster + 4)
        values[codes == cluster, own] = 1 + random.random((20, 4))
    return values, codes


def table_of(values, codes):
    """Return the table that Seurat would make, with its three digits of pct."""
    import pandas as pd

    rows = []
    for cluster in sorted(set(codes.tolist())):
        inside, outside = values[codes == cluster], values[codes != cluster]
        for i, gene in enumerate(GENES):
            change = np.log2(np.expm1(inside[:, i]).mean() + 1) - np.log2(
                np.expm1(outside[:, i]).mean() + 1
            )
            if change > 0.25:
                rows.append(
                    {
                        "p_val": 0.0,
                        "avg_log2FC": change,
                        "pct.1": round((inside[:, i] > 0).mean(), 3),
                        "pct.2": round((outside[:, i] > 0).mean(), 3),
                        "p_val_adj": 0.0,
                        "cluster": str(cluster),
                        "gene": gene,
                    }
                )
    return read_markers(pd.DataFrame(rows))


def study_of(values, codes, markers, **context):
    return Study(
        Clusters.from_labels([str(c) for c in codes]),
        group_key="res.0.5",
        cells=tuple(f"c{i}" for i in range(len(codes))),
        genes=tuple(GENES),
        normalized=MatrixSource(values, GENES),
        markers=markers,
        context=Context(**context),
    )


def test_the_table_of_this_clustering_passes(clustered):
    values, codes = clustered
    checks.check_same_clustering(study_of(values, codes, table_of(values, codes)))


def test_the_table_of_another_clustering_with_the_same_names_is_refused(clustered):
    values, codes = clustered
    renumbered = (codes + 1) % 3
    study = study_of(values, renumbered, table_of(values, codes))
    with pytest.raises(errors.MarkersMismatchError, match="3 of 3 differ") as caught:
        checks.check_same_clustering(study)
    assert "FindAllMarkers" in caught.value.hint
    assert set(caught.value.data["clusters"]) == {"0", "1", "2"}


def test_two_exchanged_clusters_among_three_are_found(clustered):
    values, codes = clustered
    exchanged = np.where(codes == 0, 1, np.where(codes == 1, 0, codes))
    study = study_of(values, exchanged, table_of(values, codes))
    with pytest.raises(errors.MarkersMismatchError, match="2 of 3 differ"):
        checks.check_same_clustering(study)


def test_a_few_filtered_cells_are_not_another_clustering(clustered):
    values, codes = clustered
    keep = np.ones(60, dtype=bool)
    keep[[0, 21, 45]] = False
    checks.check_same_clustering(study_of(values[keep], codes[keep], table_of(values, codes)))


def test_scaled_data_cannot_be_compared_and_are_not_refused(clustered):
    values, codes = clustered
    markers = table_of(values, codes)
    checks.check_same_clustering(study_of(values - 0.5, (codes + 1) % 3, markers))


def test_the_genes_to_compare_do_not_depend_on_the_order_of_rows(clustered):
    import pandas as pd

    values, codes = clustered
    frame = table_of(values, codes).to_frame()
    clusters = Clusters.from_labels([str(c) for c in codes])
    chosen = {
        frozenset(
            checks.genes_to_compare(
                read_markers(pd.DataFrame(frame.sample(frac=1, random_state=seed))), clusters
            )
        )
        for seed in range(5)
    }
    assert len(chosen) == 1


def markers_of(*clusters):
    return read_markers({c: ["CD3E", "CD3D", "IL7R", "TRAC", "LTB", "CD2"] for c in clusters})


def test_no_common_cluster_is_an_error_that_shows_both_sides():
    study = Study(Clusters(("T", "B")), group_key="type", markers=markers_of("0", "1"))
    with pytest.raises(errors.MarkersClustersError, match='"0", "1", the object has "T", "B"'):
        checks.check_study(study)


def test_additional_and_missing_clusters_are_warned_of_by_name():
    study = Study(Clusters(("0", "1")), markers=markers_of("1", "7"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checks.check_study(study)
    messages = {type(w.message): str(w.message) for w in caught}
    assert '"7"' in messages[errors.MarkersUnknownClustersWarning]
    assert '"0"' in messages[errors.ClustersWithoutMarkersWarning]


def test_cells_without_a_cluster_are_counted():
    study = Study(Clusters.from_labels(["0", None, None]), markers=markers_of("0"))
    with pytest.warns(errors.CellsWithoutClusterWarning, match="2 of 3 cells"):
        checks.check_study(study)


def test_ensembl_identifiers_are_refused_before_anything_else():
    markers = read_markers({"0": [f"ENSG{i:011d}" for i in range(8)]})
    with pytest.raises(errors.GeneIdentifiersError):
        checks.check_study(Study(Clusters(("0",)), markers=markers))


def test_a_table_with_p_values_only_is_refused():
    import pandas as pd

    frame = pd.DataFrame({"cluster": ["0"], "gene": ["CD3E"], "p_val_adj": [0.0]})
    with pytest.raises(errors.MarkersStatisticError, match="neither a fold change nor a score"):
        checks.check_study(Study(Clusters(("0",)), markers=read_markers(frame)))


def test_species_is_told_from_the_gene_names_and_a_contradiction_is_said():
    mouse = ("Cd3e", "Cd79a", "Ms4a1", "Lyz2", "Nkg7", "Gzma", "Ptprc", "Actb", "Gapdh", "Cd19")
    study = Study(Clusters(("0",)), genes=mouse, markers=read_markers({"0": list(mouse)}))
    assert checks.check_study(study).context.species == "mouse"
    stated = study.with_parts(context=Context(species="human"))
    with pytest.warns(errors.SpeciesWarning, match='given as "human"'):
        assert checks.check_study(stated).context.species == "human"


class Sender:
    """An engine that only says what it would send."""

    name = "sender"

    def __init__(self, sends, host="https://example.org"):
        self.capabilities = Capabilities(sends=frozenset(sends), host=host)


def test_expression_does_not_leave_the_machine_unasked():
    engine, plan = Sender({"expression", "markers"}), Plan("sender", 1, bytes_sent=1234567)
    with pytest.raises(errors.UploadNotAllowedError, match="1,234,567 bytes") as caught:
        checks.check_consent(engine, plan, allow_upload=False)
    assert "https://example.org" in str(caught.value)
    checks.check_consent(engine, plan, allow_upload=True)
    checks.check_consent(Sender({"markers"}), plan, allow_upload=False)
    checks.check_consent(Sender({"expression"}, host=None), plan, allow_upload=False)
