"""The line that makes something that cellferry reads of a file of another kind, by language."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cure:
    """What to do, with a line that works when it is pasted.

    In the texts ``{file}`` is the file, quoted, ``{h5ad}`` and ``{rds}`` a new name beside it.

    Attributes
    ----------
    python, r, shell
        For whoever is in Python, in R, or on the command line.
    """

    python: str
    r: str = ""
    shell: str = ""

    def named(self, file: Path) -> Cure:
        """Return the texts with the names of a file."""
        stem = file.name
        endings = (".gz", ".zip", ".h5ad", ".h5", ".loom", ".h5seurat", ".h5mu", ".qs", ".qs2")
        for ending in (*endings, ".rdata", ".rda", ".zarr", ".tar", ".tgz"):
            if stem.lower().endswith(ending) and len(stem) > len(ending):
                stem = stem[: -len(ending)]
        unpacked = file.name[:-3] if file.name.lower().endswith(".gz") else f"unpacked_{file.name}"
        names = {
            "{file}": str(file),
            "{h5ad}": f"{stem}.h5ad",
            "{rds}": f"{stem}.rds",
            "{unpacked}": str(file.with_name(unpacked)),
            "{folder}": str(file.parent),
        }

        def filled(text: str) -> str:
            for key, value in names.items():
                # A JSON string is one of Python, of R and, as far as names go, of a shell.
                text = text.replace(key, json.dumps(value, ensure_ascii=False))
            return text

        return Cure(filled(self.python), filled(self.r or self.python), self._shell(filled))

    def _shell(self, filled: object) -> str:
        assert callable(filled)
        return str(filled(self.shell or self.python))


def _by_python(what: str, code: str, *, r: str = "", shell: str = "") -> Cure:
    """Return a cure that Python does; on the command line it is started from there."""
    in_shell = f"{shell or what} python -c '{code}'"
    return Cure(f"{what} {code}", r or f"{what} In Python: {code}", in_shell)


def _by_r(what: str, code: str) -> Cure:
    """Return a cure that R does."""
    return Cure(f"{what} In R: {code}", f"{what} {code}", f"{what} Rscript -e '{code}'")


_DOWNLOAD = "Copy or download it again, and compare its size with that of the source."
_UNPACK = Cure(
    'Unpack it: import gzip, shutil; shutil.copyfileobj(gzip.open({file}), open({unpacked}, "wb"))',
    "Unpack it: R.utils::gunzip({file}, {unpacked}, remove = FALSE)",
    "Unpack it: gunzip -c {file} > {unpacked}",
)
_AS_CSV = "Write the table as text."

CURES: dict[str, Cure] = {
    "packed": _UNPACK,
    "truncated": Cure(_DOWNLOAD),
    "damaged": Cure(_DOWNLOAD),
    "empty": Cure(_DOWNLOAD),
    "html": Cure("Download the file itself, not the page that shows it."),
    "lfs": Cure("Fetch the file itself: git lfs pull"),
    "loom": _by_python(
        "Convert it.",
        "import scanpy; scanpy.read_loom({file}).write_h5ad({h5ad})",
        r="Convert it. saveRDS(Seurat::as.Seurat(SeuratDisk::Connect({file})), {rds})",
    ),
    "h5seurat": _by_r("Convert it.", "saveRDS(SeuratDisk::LoadH5Seurat({file}), {rds})"),
    "h5mu": _by_python(
        "Take one modality of it.",
        'import mudata; mdata = mudata.read({file}); mdata["rna"].write_h5ad({h5ad})',
    ),
    "spatialdata": _by_python(
        "Take its table.",
        "import spatialdata; sdata = spatialdata.read_zarr({file}); "
        "next(iter(sdata.tables.values())).write_h5ad({h5ad})",
    ),
    "zarr": _by_python("Read it.", "import anndata; anndata.read_zarr({file}).write_h5ad({h5ad})"),
    "zarr_zip": _by_python(
        "Read it.",
        'import anndata, zarr; anndata.read_zarr(zarr.storage.ZipStore({file}, mode="r"))'
        ".write_h5ad({h5ad})",
    ),
    "zarr_other": Cure("Give the folder of the AnnData itself; it has the folders obs and var."),
    "tenx_h5": _by_python(
        "It has cells and no clusters: annotate_cells() reads it. To cluster it first:",
        "import scanpy; scanpy.read_10x_h5({file}).write_h5ad({h5ad})",
        shell="It has cells and no clusters: --cells reads it. To cluster it first:",
        r="It has cells and no clusters: AnnotateCells() reads it. To cluster it first: "
        "saveRDS(Seurat::CreateSeuratObject(Seurat::Read10X_h5({file})), {rds})",
    ),
    "tenx_folder": _by_python(
        "It has cells and no clusters: annotate_cells() reads it. To cluster it first:",
        "import scanpy; scanpy.read_10x_mtx({file}).write_h5ad({h5ad})",
        shell="It has cells and no clusters: --cells reads it. To cluster it first:",
        r="It has cells and no clusters: AnnotateCells() reads it. To cluster it first: "
        "saveRDS(Seurat::CreateSeuratObject(Seurat::Read10X({file})), {rds})",
    ),
    "tenx_part": Cure(
        "Put the three files of one sample, matrix.mtx, barcodes.tsv and features.tsv "
        "(or genes.tsv), into one folder, and give that."
    ),
    "tenx_molecules": Cure("Give filtered_feature_bc_matrix.h5, which is beside it."),
    "matrix_market": Cure(
        "Give the folder that it is in, with barcodes.tsv and features.tsv beside it: {folder}"
    ),
    "h5ad": _by_python(
        "It has cells. Give it in place of the object, or its ranking:",
        'import anndata; anndata.read_h5ad({file}).uns["rank_genes_groups"]',
        r="It has cells. Give it in place of the object.",
    ),
    "rds": Cure(
        "R reads it: cellferry annotate {file}",
        "Read it first: readRDS({file})",
        "It is read in place of INPUT: cellferry annotate {file}",
    ),
    "rdata": _by_r(
        "An .RData may hold several objects; write one of them.",
        "saved <- load({file}); print(saved); saveRDS(get(saved[1]), {rds})",
    ),
    "qs": _by_r("Convert it.", "saveRDS(qs::qread({file}), {rds})"),
    "qs2": _by_r("Convert it.", "saveRDS(qs2::qs_read({file}), {rds})"),
    "hdf5_se": _by_r("Load it.", "saveRDS(HDF5Array::loadHDF5SummarizedExperiment({file}), {rds})"),
    "bpcells": _by_r(
        "It is a matrix without cell types.",
        "saveRDS(Seurat::CreateSeuratObject(BPCells::open_matrix_dir({file})), {rds})",
    ),
    "tar": Cure("Unpack it: tar -xf {file}"),
    "zip": Cure("Unpack it, and give the file or folder that was in it."),
    "bzip2": Cure("Unpack it: bunzip2 -k {file}"),
    "xz": Cure("Unpack it: xz -dk {file}"),
    "zstd": Cure("Unpack it: zstd -d {file}"),
    "parquet": _by_python(
        _AS_CSV,
        'import pandas; pandas.read_parquet({file}).to_csv("markers.csv")',
        r=f'{_AS_CSV} write.csv(arrow::read_parquet({{file}}), "markers.csv")',
    ),
    "feather": _by_python(
        _AS_CSV,
        'import pandas; pandas.read_feather({file}).to_csv("markers.csv")',
        r=f'{_AS_CSV} write.csv(arrow::read_feather({{file}}), "markers.csv")',
    ),
    "folder": Cure("Give the path of the file in it."),
    "text": Cure(
        "Give an .h5ad, a zarr folder, a 10x file or folder, or an .rds; a marker table "
        "must have the name of a text file, such as markers.csv."
    ),
    "hdf5": Cure("Give an .h5ad, which adata.write_h5ad() writes, or an .rds of saveRDS()."),
    "vars_h5": Cure("Give the object that it was built from."),
    "duckdb": Cure("Give the object that it was built from."),
}
"""Kind of a file -> what to do."""
