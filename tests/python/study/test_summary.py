import numpy as np
import pytest
from scipy import sparse

from artifact_data import make_study
from cellferry.errors import EngineNeedsError
from cellferry.study.study import Clusters, Study
from cellferry.study.summary import SummaryOptions, summarise


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_one_read_gives_everything(form):
    values = np.array([[0.5, 0, 0], [0.2, 0.1, 0], [0, 0, 0.9]], dtype=np.float32)
    study = make_study(form(values), ["a", "a", "b"]).with_parts(
        coordinates=("X_umap", np.arange(6.0).reshape(3, 2))
    )
    read = []
    found = summarise(study, SummaryOptions(pcent_batch_size=2), on_block=read.append)
    assert found.clusters == ("a", "b")
    assert found.cells_per_cluster == {"a": 2, "b": 1}
    assert found.genes == ("g0", "g1", "g2")
    np.testing.assert_array_equal(found.percentages, [[100, 50, 0], [0, 0, 100]])
    assert found.normalisation.kind == "log_normalised"
    assert sorted(found.coordinates.cells) == [0, 1, 2]
    assert found.metadata == {}
    assert read == [2, 3]


def test_a_study_without_expression_says_so():
    with pytest.raises(EngineNeedsError, match="normalised expression"):
        summarise(Study(Clusters.from_labels(["a"])))
