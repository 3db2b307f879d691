"""What a file or folder is, by its content: the one judge of it.

A name says little: downloads end too early, a sign-in page comes in place of a file, portals
rename and compress what they get. So the first bytes are looked at, and in HDF5, zip, zarr and
folders the names of what is in them. Nothing is read whole.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from ...errors import InputError, UnsupportedObjectError, in_language, listing
from .cures import CURES, Cure
from .tenx import folder_of_10x

ANNDATA = ("h5ad", "zarr", "zarr_zip", "tenx_h5", "tenx_folder")
"""Kinds that an AnnData is read from."""

SAVE_AS_TEXT = (
    'Save the table as text: write.csv(markers, "markers.csv") in R, '
    'frame.to_csv("markers.csv") in Python, "CSV UTF-8" in Excel.'
)

_HEAD = 4096
_HDF5 = b"\x89HDF\r\n\x1a\n"
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_ZIP = b"PK\x03\x04"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "xls"),
    (b"RDX", "rdata"),
    (b"RDA", "rdata"),
    (b"X\n\x00", "rds"),
    (b"B\n\x02\x00", "rds"),
    (b"B\n\x03\x00", "rds"),
    (b"A\n2\n", "rds"),
    (b"A\n3\n", "rds"),
    (b"\x0b\x0e\x0a\xc1", "qs2"),
    (b"\x0b\x0e\x0a\xcd", "qs2"),
    (b"\x0b\x0e\x0a", "qs"),
    (_BZIP2, "bzip2"),
    (_XZ, "xz"),
    (_ZSTD, "zstd"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "feather"),
    (b"%PDF", "pdf"),
    (b"%%MatrixMarket", "matrix_market"),
    (b"version https://git-lfs", "lfs"),
    (b"\xff\xfe", "utf16"),
    (b"\xfe\xff", "utf16"),
)
_WHAT: dict[str, str] = {
    "missing": "no file",
    "folder": "a folder",
    "empty": "an empty file",
    "text": "a text file",
    "binary": "a binary file",
    "truncated": "a file that is cut off, as a download that was interrupted leaves it",
    "damaged": "a damaged file",
    "html": "a web page",
    "xlsx": "an Excel workbook (.xlsx)",
    "xls": "an Excel workbook (.xls)",
    "ods": "an OpenDocument spreadsheet (.ods)",
    "zip": "a zip archive",
    "tar": "a tar archive",
    "rdata": "an R workspace (.RData), which save() makes",
    "rds": "an R object (.rds)",
    "qs": "an R object of the package qs (.qs)",
    "qs2": "an R object of the package qs2 (.qs2)",
    "bzip2": "a file compressed by bzip2",
    "xz": "a file compressed by xz",
    "zstd": "a file compressed by zstd",
    "gzip": "a gzipped file",
    "parquet": "a Parquet file",
    "feather": "a Feather file",
    "pdf": "a PDF",
    "matrix_market": "a matrix in Matrix Market format (matrix.mtx)",
    "lfs": "a Git LFS pointer, a small text in the place of the file",
    "utf16": "text in UTF-16, as Excel saves it as Unicode text",
    "h5ad": "an AnnData (.h5ad)",
    "zarr": "an AnnData in a zarr folder",
    "zarr_zip": "an AnnData in a zarr folder, zipped (.zarr.zip)",
    "zarr_other": "a zarr folder without an AnnData",
    "spatialdata": "a SpatialData in a zarr folder",
    "tenx_h5": "a 10x matrix in HDF5 (.h5)",
    "tenx_folder": "a 10x folder (matrix.mtx, barcodes.tsv, features.tsv)",
    "tenx_molecules": "a molecule_info.h5 of Cell Ranger, which has no matrix of cells",
    "loom": "a loom file (HDF5)",
    "h5seurat": "an h5Seurat file (HDF5), of the R package SeuratDisk",
    "h5mu": "a MuData (.h5mu)",
    "vars_h5": "an artifact of cellferry, vars.h5",
    "hdf5": "an HDF5 file",
    "hdf5_se": "a folder of saveHDF5SummarizedExperiment()",
    "bpcells": "a matrix folder of the R package BPCells",
    "duckdb": "a DuckDB database",
}


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Attributes
    ----------
    name
        One word for it: ``text``, ``h5ad``, ``rds``, ``loom``, ...
    what
        A phrase for messages, such as "a loom file".
    packed
        How many times it is gzipped.
    """

    name: str
    what: str
    packed: int = 0

    @property
    def is_anndata(self) -> bool:
        """Whether an AnnData is read from it."""
        return self.name in ANNDATA and not self.packed

    @property
    def is_of_r(self) -> bool:
        """Whether R reads it with ``readRDS()``, which reads what is gzipped once."""
        return self.name == "rds" and self.packed <= 1

    @property
    def is_text(self) -> bool:
        """Whether it may be a marker table."""
        return self.name == "text" and self.packed <= 1


def file_kind(path: str | os.PathLike[str]) -> FileKind:
    """Return what a file or folder is, by its content and never by its name.

    Parameters
    ----------
    path
        Of anything, also of nothing: the kind is then ``missing``.

    Raises
    ------
    InputError
        It is there and cannot be opened.

    Examples
    --------
    >>> file_kind("/no/such/file").name
    'missing'
    """
    file = Path(path).expanduser()
    try:
        if file.is_dir():
            return _of_folder(file)
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
    except (FileNotFoundError, NotADirectoryError):
        return _kind("missing")
    except (OSError, ValueError) as error:
        message = f'The file "{file}" cannot be opened: {error}.'
        raise InputError(message, "Check its permissions.") from error
    return _of_file(file, head)


def file_error(
    path: str | os.PathLike[str],
    kind: FileKind,
    wanted: str,
    error: Callable[..., InputError] = InputError,
) -> InputError:
    """Return the error for a file that is not what was asked for, with the line that mends it.

    Parameters
    ----------
    path
        Of the file.
    kind
        What it is.
    wanted
        What it is not, such as "a marker table".
    error
        Class of the error. Its ``data`` have the line in R and on the command line too.

    Examples
    --------
    >>> print(file_error("x.loom", FileKind("loom", "a loom file"), "a marker table").message)
    The file "x.loom" is not a marker table; it seems to be a loom file.
    """
    file = Path(path)
    if kind.name == "missing":
        message = f'There is no file "{file}" (looked for it in "{Path.cwd()}").'
        # That it is not there says nothing of what it would be.
        made = InputError if error is UnsupportedObjectError else error
        return made(message, "Check the path.")
    is_folder = file.is_dir()
    message = f'The {"folder" if is_folder else "file"} "{file}" is not {wanted}; it '
    message += f"{'is' if is_folder or kind.name == 'empty' else 'seems to be'} {kind.what}."
    cure = cure_of(file, kind)
    hint = in_language(python=cure.python, r=cure.r, cli=cure.shell)
    return error(message, hint, seems=kind.what)


def cure_of(file: Path, kind: FileKind) -> Cure:
    """Return what to do with a file so that it can be read, in each language."""
    # What save() writes is gzipped as well, and load() reads it so.
    if kind.packed > (kind.name in {"rds", "rdata", "text"}):
        return CURES["packed"].named(file)
    return CURES.get(kind.name, Cure(SAVE_AS_TEXT, SAVE_AS_TEXT, SAVE_AS_TEXT)).named(file)


def _kind(name: str, packed: int = 0, what: str | None = None) -> FileKind:
    phrase = what or _WHAT[name]
    if packed and name not in {"text", "rds", "rdata"}:
        phrase += ", gzipped"
    elif packed > 1:
        phrase += ", gzipped twice"
    return FileKind(name, phrase, packed)


def _of_file(file: Path, head: bytes) -> FileKind:
    packed = 0
    while head.startswith(_GZIP):
        try:
            head = _unpacked_head(file, packed + 1)
        except (OSError, EOFError, zlib.error) as error:
            return _kind("damaged", what=f"a damaged gzip file ({error})")
        packed += 1
        if packed == 3:
            break
    if head.startswith(_HDF5):
        return _of_hdf5(file) if not packed else _of_packed_hdf5(file, packed)
    if head.startswith(_ZIP) and not packed:
        return _of_zip(file)
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return _of_compressed(file, name, packed)
    if head[257:262] == b"ustar":
        return _kind("tar", packed)
    if head[8:12] == b"DUCK":
        return _kind("duckdb", packed)
    if b"\0" in head:
        return _kind("binary", packed)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return _kind("html", packed)
    return _kind("text" if head else "empty", packed)


def _unpacked_head(file: Path, times: int) -> bytes:
    """Return the first bytes of a file that is gzipped so many times."""
    with file.open("rb") as raw:
        stream: IO[bytes] = raw
        for _ in range(times):
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=stream, mode="rb"))
        return stream.read(_HEAD)


def _of_compressed(file: Path, name: str, packed: int) -> FileKind:
    """Look into bzip2 and xz, by which saveRDS() and save() can compress."""
    if name not in {"bzip2", "xz"} or packed:
        return _kind(name, packed)
    try:
        with bz2.BZ2File(file) if name == "bzip2" else lzma.LZMAFile(file) as opened:
            head = opened.read(16)
    except (OSError, EOFError, lzma.LZMAError):
        return _kind(name)
    inside = next((n for s, n in _SIGNATURES if head.startswith(s) and n in {"rds", "rdata"}), None)
    return _kind(inside or name)


def _of_packed_hdf5(file: Path, packed: int) -> FileKind:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    name = next((k for k in ("h5ad", "loom", "h5seurat", "h5mu") if f".{k}" in suffixes), "hdf5")
    return _kind(name, packed)


def _of_hdf5(file: Path) -> FileKind:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            keys, attributes = set(opened), {str(key) for key in opened.attrs}
            encoding = _text(opened.attrs.get("encoding-type"))
            inside = {
                key: set(opened[key]) if isinstance(opened[key], h5py.Group) else None
                for key in list(keys)[:50]
            }
    except Exception as error:
        # h5py raises what it likes on a damaged file: OSError, RuntimeError, KeyError, ...
        if "truncated" in str(error):
            return _kind("truncated")
        return _kind("damaged", what=f"a damaged HDF5 file ({error})")
    return _kind(*_hdf5_name(keys, attributes, encoding, inside))


def _hdf5_name(
    keys: set[str], attributes: set[str], encoding: str, inside: dict[str, set[str] | None]
) -> tuple[str] | tuple[str, int, str]:
    of_10x = {"barcodes", "data", "indices", "indptr", "shape"}
    if encoding == "MuData" or "mod" in keys:
        return ("h5mu",)
    if encoding == "anndata" or {"obs", "var"} <= keys:
        return ("h5ad",)
    if {"matrix", "row_attrs", "col_attrs"} <= keys:
        return ("loom",)
    if {"assays", "cell.names"} <= keys or {"active.assay", "project"} <= attributes:
        return ("h5seurat",)
    if any(found is not None and of_10x <= found for found in inside.values()):
        return ("tenx_h5",)
    if {"barcode_idx", "feature_idx"} <= keys or {"barcode", "gene", "umi"} <= keys:
        return ("tenx_molecules",)
    if "vars" in keys and "info" in keys:
        return ("vars_h5",)
    shown = f", with {listing(sorted(keys), 6)}" if keys else " without anything in it"
    return ("hdf5", 0, f"an HDF5 file{shown}")


def _of_zip(file: Path) -> FileKind:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        with file.open("rb") as opened:
            of_excel = b"xl/" in opened.read(_HEAD) or file.suffix.lower() == ".xlsx"
        what = "an Excel workbook (.xlsx)" if of_excel else "a zip archive"
        return _kind("xlsx" if of_excel else "truncated", what=f"{what} that is cut off or damaged")
    if any(name.startswith("xl/") for name in names):
        return _kind("xlsx")
    if "content.xml" in names and "mimetype" in names:
        return _kind("ods")
    if {".zgroup", "zarr.json", ".zattrs"} & set(names):
        return _kind("zarr_zip")
    return _kind("zip", what=f"a zip archive of {listing(names, 3)}" if names else None)


def _of_folder(folder: Path) -> FileKind:
    names = {entry.name for entry in folder.iterdir()}
    if names & {".zgroup", ".zattrs", "zarr.json"}:
        return _of_zarr(folder, names)
    if folder_of_10x(names) is not None:
        return _kind("tenx_folder")
    if {"assays.h5", "se.rds"} <= names:
        return _kind("hdf5_se")
    if {"version", "shape", "idxptr"} <= names or {"version", "storage_order"} <= names:
        return _kind("bpcells")
    what = _described(folder, names)
    return _kind("tenx_part" if "10x files" in what else "folder", what=what)


def _of_zarr(folder: Path, names: Collection[str]) -> FileKind:
    described = ""
    for name in ("zarr.json", ".zattrs"):
        if name in names:
            described += (folder / name).read_text(encoding="utf-8", errors="replace")[:20_000]
    if "spatialdata_attrs" in described:
        return _kind("spatialdata")
    if '"MuData"' in described:
        return _kind("h5mu", what="a MuData in a zarr folder")
    if '"anndata"' in described or {"obs", "var"} <= set(names):
        return _kind("zarr")
    return _kind("zarr_other")


def _described(folder: Path, names: Collection[str]) -> str:
    """Say what a folder has, and which folder or file in it may be meant."""
    of_10x = [
        entry.name
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and folder_of_10x({e.name for e in entry.iterdir()}) is not None
    ]
    if of_10x:
        return f"a folder; the 10x folders in it are {listing(of_10x, 5)}"
    there = [n for n in ("matrix.mtx", "barcodes.tsv") if any(n in name for name in names)]
    if there:
        missing = " and ".join(
            what
            for what, parts in (
                ("matrix.mtx", ("matrix.mtx",)),
                ("barcodes.tsv", ("barcodes.tsv",)),
                ("features.tsv", ("features.tsv", "genes.tsv")),
            )
            if not any(part in name for name in names for part in parts)
        )
        lacks = f"lacks {missing}" if missing else "has several samples"
        return f"a folder of 10x files that {lacks}"
    return (
        f"a folder of {listing(sorted(names), 5)}" if names else "a folder without anything in it"
    )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
