"""The engine ``celltypist``: real models of CellTypist, trained here, beside its own functions."""

import os
import pickle
import warnings
from importlib.util import find_spec

import anndata
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from blood_halves import LABELS, halves
from cellferry import annotate_cells, annotate_clusters, errors
from cellferry.engines import create_engine
from cellferry.engines.celltypist import CellTypist
from cellferry.engines.celltypist.model import CellTypistModel
from cellferry.engines.contract import EngineContract, example_cells

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    # It makes folders where it is imported, so it is not imported here.
    pytest.mark.skipif(find_spec("celltypist") is None, reason="celltypist is not installed"),
]


def normalised(adata):
    """The cells as CellTypist wants them: log1p of 10,000, of the counts that their values show."""
    counts = np.expm1(adata.X.toarray())
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 10_000)
    return anndata.AnnData(csr_matrix(values.astype(np.float32)), obs=adata.obs, var=adata.var)


@pytest.fixture(scope="module")
def celltypist(tmp_path_factory):
    """CellTypist with a folder of its own, which it makes when it is imported."""
    before = os.environ.get("CELLTYPIST_FOLDER")
    os.environ["CELLTYPIST_FOLDER"] = str(tmp_path_factory.mktemp("celltypist"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import celltypist

        celltypist.logger.set_level(50)
        yield celltypist
    if before is None:
        del os.environ["CELLTYPIST_FOLDER"]
    else:
        os.environ["CELLTYPIST_FOLDER"] = before


def trained(celltypist, path, adata, labels, **options):
    """A model that CellTypist trained, by SGD: its own regression needs an older scikit-learn."""
    model = celltypist.train(adata, labels=labels, use_SGD=True, random_state=0, **options)
    model.write(str(path))
    return path


def of_regression(celltypist, path, adata, labels):
    """A model with the regression of scikit-learn, as those that can be downloaded have it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(adata.X.toarray())
    classifier = LogisticRegression(max_iter=200)
    classifier.fit(np.minimum(scaler.transform(adata.X.toarray()), 10), adata.obs[labels])
    classifier.features = np.array(adata.var_names)
    description = {"date": "2026", "details": "", "url": "", "source": "", "version": "v1",
                   "number_celltypes": len(classifier.classes_)}  # fmt: skip
    celltypist.models.Model(classifier, scaler, description).write(str(path))
    return path


@pytest.fixture(scope="module")
def blood(celltypist, tmp_path_factory):
    """A model of half of the blood, and the other half."""
    first, other = (normalised(half) for half in halves())
    path = tmp_path_factory.mktemp("model") / "blood.pkl"
    return of_regression(celltypist, path, first, LABELS), other


@pytest.fixture(scope="module")
def contract_model(celltypist, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "contract.pkl"
    cells = example_cells(120, seed=1)
    return trained(celltypist, path, cells[:-1].copy(), "cluster", check_expression=False)


class TestContract(EngineContract):
    level = "cells"

    @pytest.fixture(autouse=True)
    def _model(self, contract_model):
        self.model = contract_model

    def engine(self, **options):
        return CellTypist(model=self.model, **options)


def test_the_labels_and_probabilities_are_those_of_celltypist(celltypist, blood):
    path, other = blood
    own = celltypist.annotate(other, model=str(path))
    found = annotate_cells(
        other.copy(), engine="celltypist", model=path, group_key="louvain", progress=False
    )
    theirs = own.predicted_labels["predicted_labels"].astype(str).tolist()
    assert found.label.values().tolist() == theirs
    sure = own.probability_matrix.to_numpy().max(axis=1)
    np.testing.assert_allclose(found.confidence, sure, atol=1e-6)
    assert found.confidence_kind == "stated"
    right = np.mean(np.array(theirs) == other.obs[LABELS].to_numpy())
    assert right > 0.75
    weights = own.adata is not None and celltypist.models.Model.load(str(path))
    markers = weights.extract_top_markers("CD19+ B", 10).tolist()
    assert found.evidence["defining"]["CD19+ B"] == markers


@pytest.mark.parametrize("options", [{}, {"with_mean": False}])
def test_models_that_celltypist_trains_are_read_too(celltypist, blood, tmp_path, options):
    first = normalised(halves()[0])
    path = trained(celltypist, tmp_path / "m.pkl", first, LABELS, max_iter=100, **options)
    dense = blood[1].copy()
    dense.X = dense.X.toarray()  # without means CellTypist reads no sparse matrix
    own = celltypist.annotate(dense, model=str(path)).predicted_labels["predicted_labels"]
    found = annotate_cells(blood[1].copy(), engine="celltypist", model=path, progress=False)
    assert found.label.values().tolist() == own.astype(str).tolist()


def test_two_classes_are_read_too(celltypist, blood, tmp_path):
    first = normalised(halves()[0])
    first.obs["two"] = np.where(first.obs[LABELS] == "CD19+ B", "B", "other")
    path = of_regression(celltypist, tmp_path / "m.pkl", first, "two")
    own = celltypist.annotate(blood[1], model=str(path)).predicted_labels["predicted_labels"]
    found = annotate_cells(blood[1].copy(), engine="celltypist", model=path, progress=False)
    assert found.label.values().tolist() == own.astype(str).tolist()


@pytest.mark.parametrize("min_prop", [0.0, 0.9])
def test_the_majority_of_cells_is_that_of_celltypist(celltypist, blood, min_prop):
    path, other = blood
    own = celltypist.annotate(
        other, model=str(path), majority_voting=True, min_prop=min_prop,
        over_clustering=other.obs["louvain"].astype(str),
    ).predicted_labels  # fmt: skip
    theirs = own["majority_voting"].astype(str).replace("Heterogeneous", "Unknown").tolist()
    for options in ({"group_key": "louvain"}, {"over_clustering": "louvain"}):
        found = annotate_cells(
            other.copy(), engine="celltypist", model=path, majority_voting=True,
            min_prop=min_prop, progress=False, **options,
        )  # fmt: skip
        assert found.label.values().tolist() == theirs
        assert found.detail.values().tolist() == own["predicted_labels"].astype(str).tolist()


def test_clusters_are_the_majority_with_its_share(celltypist, blood):
    path, other = blood
    votes = celltypist.annotate(
        other, model=str(path), majority_voting=True,
        over_clustering=other.obs["louvain"].astype(str),
    ).predicted_labels  # fmt: skip
    found = annotate_clusters(
        other.copy(), engine="celltypist", model=path, group_key="louvain", progress=False
    )
    for row in found:
        of = votes[(other.obs["louvain"] == row.cluster).to_numpy()]
        assert row.label == str(of["majority_voting"].iloc[0])
        share = (of["predicted_labels"].astype(str) == row.label).mean()
        assert found.evidence[row.cluster]["share"] == pytest.approx(share, abs=1e-4)


def test_with_prob_match_what_no_type_reaches_is_unknown(celltypist, blood):
    path, other = blood
    own = celltypist.annotate(other, model=str(path), mode="prob match", p_thres=0.97)
    none = own.predicted_labels["predicted_labels"].astype(str) == "Unassigned"
    found = annotate_cells(
        other.copy(), engine="celltypist", model=path, mode="prob match", p_thres=0.97,
        progress=False,
    )  # fmt: skip
    assert (found.label.values() == "Unknown").tolist() == none.tolist()
    assert 0 < none.sum() < len(none)


def test_counts_are_brought_to_ten_thousand_and_other_values_are_refused(blood, caplog):
    path, other = blood
    wanted = annotate_cells(other.copy(), engine="celltypist", model=path, progress=False)
    counts = other.copy()
    counts.X = csr_matrix(np.round(np.expm1(other.X.toarray())))
    with caplog.at_level("INFO", logger="cellferry"):
        found = annotate_cells(counts, engine="celltypist", model=path, progress=False)
    assert found.provenance["read"] == "from_counts"
    assert "log1p of 10,000 counts per cell is made from the counts." in caplog.messages
    said = "The model has 10 types, of whose 765 genes the object has 765."
    assert said in caplog.messages
    assert np.mean(found.label.values() == wanted.label.values()) > 0.98
    with pytest.raises(errors.NotNormalizedError, match="do not sum up to the same in each cell"):
        annotate_cells(halves()[1], engine="celltypist", model=path, progress=False)


def test_a_model_that_does_not_fit_is_refused_before_any_work(blood):
    path, other = blood
    nine = other[:, :9].copy()
    with pytest.raises(errors.ModelError, match=r"The object has 9 of the 7.. genes of the model"):
        annotate_cells(nine, engine="celltypist", model=path, progress=False)
    mouse = other.copy()
    mouse.var_names = [name.capitalize() for name in mouse.var_names]
    with pytest.raises(errors.ModelError, match=r"The model is of human, .* object are of mouse"):
        annotate_cells(mouse, engine="celltypist", model=path, progress=False)


def test_a_model_is_found_by_the_name_that_celltypist_gave_it(
    celltypist, blood, tmp_path, monkeypatch
):
    folder = tmp_path / "own" / "data" / "models"
    folder.mkdir(parents=True)
    (folder / "Blood.pkl").write_bytes(blood[0].read_bytes())
    monkeypatch.setenv("CELLTYPIST_FOLDER", str(tmp_path / "own"))
    for name in ("Blood", "Blood.pkl"):
        assert CellTypistModel.load(name).path == folder / "Blood.pkl"
    with pytest.raises(errors.ModelError) as caught:
        create_engine("celltypist", {"model": "Immune_All_Low.pkl"}, "cells")
    assert 'There is no model "Immune_All_Low.pkl". CellTypist has downloaded' in str(caught.value)
    assert 'download_models(model="Immune_All_Low.pkl")' in caught.value.hint


class Runs:
    """Runs code when it is read as a pickle."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_nothing_that_is_in_a_file_is_run(tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"Model": Runs(ran), "Scaler_": 1, "description": {}}))
    with pytest.raises(errors.ModelError, match=r"it holds (posix|nt)\.system, which was not run"):
        CellTypistModel.load(path)
    assert not ran.exists()


@pytest.mark.parametrize(
    "content", [b"", b"cluster,gene\n", pickle.dumps([1]), pickle.dumps({"Model": 1, "Scaler_": 2})]
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "no.pkl"
    path.write_bytes(content)
    with pytest.raises(errors.ModelError, match="is no model of CellTypist"):
        CellTypistModel.load(path)


def test_without_a_model_and_with_wrong_options_it_says_so():
    with pytest.raises(errors.EngineNeedsError, match="needs a model, and none is given"):
        annotate_cells(example_cells(), engine="celltypist", progress=False)
    with pytest.raises(errors.InvalidOptionError, match="`mode` must be one of"):
        CellTypist(mode="best")
    with pytest.raises(errors.InvalidOptionError, match="`min_prop` must be a number"):
        CellTypist(min_prop=2)


def test_the_command_line_takes_a_model(blood, tmp_path, monkeypatch):
    from command import command

    monkeypatch.chdir(tmp_path)
    blood[1].write_h5ad("x.h5ad")
    for words in (["--cells"], ["--group-key", "louvain"]):
        done = command(
            "annotate", "x.h5ad", *words, "--engine", "celltypist", "--model", blood[0], "--out",
            f"y{len(words)}",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert "CD19+ B" in done.out
