"""Training on a labelled object: what is refused before any work, and what the file holds."""

import json
import pickle
import zipfile

import anndata
import numpy as np
import pytest

from blood_halves import LABELS, halves
from cellferry import errors, train_reference
from cellferry.engines.contract import example_cells
from cellferry.engines.reference import ReferenceModel
from cellferry.study.build import study_of_cells


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "blood.npz"
    return train_reference(halves()[0], LABELS, path, leave_out=True), path


def refused(match, adata, labels="label", path="/tmp/none.npz", kind=errors.ModelError, **options):
    with pytest.raises(kind, match=match) as caught:
        train_reference(adata, labels, path, **options)
    return caught.value


@pytest.fixture
def labelled(monkeypatch):
    """60 cells of three labels; fitting anything is a mistake."""
    adata = example_cells()
    adata.obs["label"] = adata.obs["cluster"].map({"0": "B cell", "1": "T cell", "2": "Monocyte"})

    def fit(*_arguments):
        raise AssertionError

    monkeypatch.setattr("cellferry.engines.reference.train._fit", fit)
    return adata


def test_cells_without_a_label_are_refused(labelled, tmp_path):
    labelled.obs["label"] = labelled.obs["label"].astype(object)
    labelled.obs.iloc[:4, labelled.obs.columns.get_loc("label")] = [None, None, "unknown", None]
    error = refused('4 of 60 cells have no label in "label".', labelled, path=tmp_path / "m.npz")
    assert error.hint == "Leave them out with `leave_out=True`, or label them."


def test_genes_without_names_are_refused(labelled, tmp_path):
    labelled.var_names = [str(i) for i in range(labelled.n_vars)]
    said = "genes of the model have no names: they are numbered from 0"
    refused(said, labelled, path=tmp_path / "m.npz", kind=errors.GeneIdentifiersError)


def test_a_label_of_three_cells_is_refused(labelled, tmp_path):
    labelled.obs["label"] = labelled.obs["label"].astype(str)
    labelled.obs.iloc[:3, labelled.obs.columns.get_loc("label")] = "Rare cell"
    said = r'1 label of "label" has fewer than 10 cells: "Rare cell" \(3\).'
    refused(said, labelled, path=tmp_path / "m.npz")


def test_one_label_is_refused(labelled, tmp_path):
    labelled.obs["label"] = "B cell"
    said = r'A model needs two labels of 10 cells or more; "label" has "B cell".'
    refused(said, labelled, path=tmp_path / "m.npz")
    refused(said, labelled, path=tmp_path / "m.npz", leave_out=True)


def test_scaled_values_are_refused(labelled, tmp_path):
    dense = labelled.X.toarray()
    scaled = anndata.AnnData(dense - dense.mean(axis=0), obs=labelled.obs, var=labelled.var)
    refused(
        "needs log-normalised values or raw counts", scaled, path=tmp_path / "m.npz",
        kind=errors.EngineNeedsError,
    )  # fmt: skip


def test_a_column_that_is_not_there_and_a_measurement_are_refused(labelled, tmp_path):
    error = refused(
        'has no column "labl"', labelled, "labl", tmp_path / "m", kind=errors.GroupMissingError
    )
    assert error.hint == 'Did you mean "label"?'
    labelled.obs["score"] = np.random.default_rng(0).normal(size=60)
    refused("score", labelled, "score", tmp_path / "m.npz", kind=errors.GroupNotClustersError)


def test_where_it_cannot_be_written_is_said_before_anything_is_read(tmp_path):
    (tmp_path / "m.npz").write_text("mine")
    error = refused(
        "it is not replaced", object(), path=tmp_path / "m.npz", kind=errors.OutputError
    )
    assert "`overwrite=True`" in error.hint
    refused("there is no folder", object(), path=tmp_path / "x" / "m", kind=errors.OutputError)
    assert (tmp_path / "m.npz").read_text() == "mine"


def test_without_scikit_learn_it_says_what_to_install(labelled, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.isotonic", None)
    error = refused(
        "needs scikit-learn", labelled, path=tmp_path / "m.npz", kind=errors.DependencyError
    )
    assert error.hint == "pip install 'cellferry[reference]'"


def test_the_file_has_arrays_and_json_and_no_pickle(learned):
    model, path = learned
    with zipfile.ZipFile(path) as packed:
        for name in packed.namelist():
            with pytest.raises(
                (pickle.UnpicklingError, ValueError, EOFError, KeyError, IndexError)
            ):
                pickle.loads(packed.read(name)[:4])
    with np.load(path, allow_pickle=False) as found:
        assert {found[name].dtype.kind for name in found.files} <= {"f", "u"}
        plain = json.loads(found["plain"].tobytes())
    assert plain["schema"] == "cellferry.reference/1"
    assert plain["checksum"] == model.checksum()
    assert set(plain["about"]["versions"]) == {"cellferry", "scikit-learn", "numpy"}
    assert plain["about"]["species"] == "human"
    assert "CD4+/CD45RA+/CD25- Naive T" not in model.classes
    again = ReferenceModel.load(path)
    assert again.checksum() == model.checksum()
    assert repr(again) == repr(model)


def test_neither_the_order_of_the_cells_nor_another_time_changes_the_model(learned, tmp_path):
    adata = halves()[0]
    turned = train_reference(adata[::-1].copy(), LABELS, tmp_path / "t.npz", leave_out=True)
    model, _ = learned
    assert turned.genes == model.genes
    assert turned.classes == model.classes
    np.testing.assert_allclose(turned.coefficients, model.coefficients, atol=1e-4)
    assert turned.threshold == pytest.approx(model.threshold, abs=1e-4)


def test_a_file_and_a_study_give_the_same_model(learned, tmp_path):
    adata = halves()[0]
    adata.write_h5ad(tmp_path / "half.h5ad")
    model, _ = learned
    of_file = train_reference(tmp_path / "half.h5ad", LABELS, tmp_path / "f.npz", leave_out=True)
    study = study_of_cells(adata, group_key=LABELS)
    of_study = train_reference(study, LABELS, tmp_path / "s.npz", leave_out=True)
    for found in (of_file, of_study):
        np.testing.assert_array_equal(found.coefficients, model.coefficients)


def damaged(path, tmp_path, change):
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    plain = json.loads(arrays["plain"].tobytes())
    change(arrays, plain)
    arrays["plain"] = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", **arrays)
    return tmp_path / "d.npz"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays, plain: plain.update(schema="cellferry.reference/2"), "newer cellferry"),
        (lambda arrays, plain: plain["genes"].reverse(), "is damaged"),
        (lambda arrays, plain: arrays["means"].__setitem__(0, 9), "is damaged"),
        (lambda arrays, plain: plain.update(threshold=0.1), "is damaged"),
        (lambda arrays, plain: arrays.pop("scales"), "no model of cellferry, or it is damaged"),
        (lambda arrays, plain: plain.pop("schema"), "no model of cellferry, or it is damaged"),
    ],
)
def test_a_model_that_is_not_what_was_written_is_refused(learned, tmp_path, change, said):
    with pytest.raises(errors.ModelError) as caught:
        ReferenceModel.load(damaged(learned[1], tmp_path, change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"cluster,gene\n0,CD3D\n"]
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "no.npz"
    path.write_bytes(content)
    with pytest.raises(errors.ModelError, match="is no model of cellferry"):
        ReferenceModel.load(path)
    with pytest.raises(errors.ModelError, match="There is no model"):
        ReferenceModel.load(tmp_path / "other.npz")


def test_a_pickle_in_a_model_is_never_run(tmp_path):
    class Runs:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.savez(tmp_path / "evil.npz", plain=np.array([Runs()], dtype=object))
    with pytest.raises(errors.ModelError, match="is no model of cellferry"):
        ReferenceModel.load(tmp_path / "evil.npz")
    assert not (tmp_path / "ran").exists()
