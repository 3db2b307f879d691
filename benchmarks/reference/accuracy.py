"""Accuracy of the engines of cells on a held-out half of real blood, beside ``local``.

``python -m benchmarks.reference.accuracy``

The 700 cells that scanpy ships have labels of sorted cells. Half of them is what ``reference``, a
model of CellTypist (if that is installed) and SingleR (if R has it) learn from; all label the other
half, three times with other halves. A label is right if its term of the Cell Ontology is that of
the cell or a kind of it, broader if the cell's is a kind of it; figures are means in percent of all
cells held out.
"""

import os
import tempfile
import warnings
from pathlib import Path

import anndata
import numpy as np
from scipy.sparse import csr_matrix

import cellferry
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.singler.asking import check_installed
from cellferry.errors import DependencyError

TERMS = {
    "Dendritic": "CL:0000451", "CD14+ Monocyte": "CL:0000576", "CD19+ B": "CL:0000236",
    "CD4+/CD25 T Reg": "CL:0000815", "CD8+ Cytotoxic T": "CL:0000625",
    "CD8+/CD45RA+ Naive Cytotoxic": "CL:0000900", "CD56+ NK": "CL:0000623",
    "CD4+/CD45RO+ Memory": "CL:0000897", "CD34+": "CL:0008001",
    "CD4+/CD45RA+/CD25- Naive T": "CL:0000895",
}  # fmt: skip


def blood() -> anndata.AnnData:
    """Return the cells with log1p of 10,000 of the counts that their values show."""
    import scanpy

    found = scanpy.datasets.pbmc68k_reduced()
    counts = np.expm1(found.raw.X.toarray())
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 10_000)
    obs = found.obs[["bulk_labels", "louvain"]].astype(str)
    return anndata.AnnData(
        csr_matrix(values.astype(np.float32)), obs=obs, var=found.raw.var[[]].copy()
    )


def judged(found: cellferry.CellAnnotations, truth: list[str]) -> list[float]:
    """Return the shares that are right, broader, wrong and unknown."""
    ontology = cell_ontology()
    counts = dict.fromkeys(("right", "broader", "wrong", "unknown"), 0)
    for label, true in zip(found.label.values(), truth, strict=True):
        term, of = TERMS.get(label) or (label and found.ontology_id(label)), TERMS[true]
        if label in {None, "Unknown"}:
            counts["unknown"] += 1
        elif term is not None and (term == of or of in ontology.ancestors(term)):
            counts["right"] += 1
        elif term is not None and term in ontology.ancestors(of):
            counts["broader"] += 1
        else:
            counts["wrong"] += 1
    return [100 * n / len(truth) for n in counts.values()]


def celltypist_model(adata: anndata.AnnData, path: Path) -> bool:
    """Train a model by CellTypist; False where it is not installed."""
    os.environ["CELLTYPIST_FOLDER"] = str(path.parent)
    try:
        import celltypist
    except ImportError:
        return False
    celltypist.logger.set_level(50)
    celltypist.train(adata, labels="bulk_labels", use_SGD=True, random_state=0).write(str(path))
    return True


def has_singler() -> bool:
    """Return whether there is an R with SingleR."""
    try:
        check_installed("wilcox")
    except DependencyError:
        return False
    return True


def main() -> None:
    # The verbs let R read, and are taken from the package for that.
    whole, rows, annotate_cells = blood(), {}, cellferry.annotate_cells
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(3):
            order = np.random.default_rng(seed).permutation(whole.n_obs)
            first, other = whole[order[:350]].copy(), whole[order[350:]].copy()
            own, theirs = Path(folder) / "own.npz", Path(folder) / "theirs.pkl"
            cellferry.train_reference(first, "bulk_labels", own, leave_out=True, overwrite=True)
            asked = {"local": {"tissue": "blood"}, "reference": {"model": own}}
            if celltypist_model(first, theirs):
                asked["celltypist"] = {"model": theirs}
            if has_singler():
                often = first.obs["bulk_labels"].map(first.obs["bulk_labels"].value_counts())
                known = first[often.to_numpy() >= 10].copy()
                asked["singler"] = {"reference": known, "labels": "bulk_labels"}
            for engine, options in asked.items():
                found = annotate_cells(
                    other.copy(), engine=engine, progress=False, group_key="louvain", **options
                )
                truth = other.obs["bulk_labels"].tolist()
                rows.setdefault(engine, []).append(judged(found, truth))
    print("engine       right  broader  wrong  unknown")
    for engine, found in rows.items():
        print(f"{engine:12}" + "".join(f"{x:7.1f}" for x in np.mean(found, axis=0)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
