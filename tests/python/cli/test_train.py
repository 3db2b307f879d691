"""``cellferry train``: a model of an .h5ad or an .rds, and labels by it."""

import pytest

from blood_halves import LABELS, halves
from cellferry.engines.reference import ReferenceModel
from command import command
from r_session import needs_rscript
from rds_files import r_script

pytestmark = pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")


def test_a_model_is_trained_and_labels_another_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, other = halves()
    first.write_h5ad("atlas.h5ad")
    other.write_h5ad("new.h5ad")
    train = ("train", "atlas.h5ad", "--labels", LABELS, "--out", "atlas.npz")
    refused = command(*train)
    assert refused.code == 1
    assert "2 labels of" in refused.err
    assert "--leave-out" in refused.err
    done = command(*train, "--leave-out", "--json")
    assert done.code == 0, done.err
    assert done.json["cross_validation"]["right"] > 0.75
    assert len(done.json["classes"]) == 8
    again = command(*train, "--leave-out")
    assert again.code == 1
    assert "--overwrite" in again.err
    for words in (["--cells"], ["--group-key", "louvain"]):
        done = command(
            "annotate", "new.h5ad", *words, "--engine", "reference", "--model", "atlas.npz",
            "--out", f"x{len(words)}",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert "CD14+ Monocyte" in done.out


@needs_rscript
@pytest.mark.process
def test_a_seurat_object_in_a_file_is_a_reference_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "atlas.rds"
    r_script(
        "x <- SeuratObject::pbmc_small; if (utils::packageVersion('SeuratObject') >= '5.0.0') "
        "x <- suppressMessages(suppressWarnings(UpdateSeuratObject(x))); "
        f"x$kind <- ifelse(x$groups == 'g1', 'one', 'two'); saveRDS(x, '{path}')"
    )
    done = command("train", path, "--labels", "kind", "--out", "m.npz")
    assert done.code == 0, done.err
    model = ReferenceModel.load(tmp_path / "m.npz")
    assert model.classes == ("one", "two")
    assert sum(model.about["n_cells"].values()) == 80
