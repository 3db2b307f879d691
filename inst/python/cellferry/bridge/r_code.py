"""Where the R files that know Seurat are, for an R that Python starts or embeds; words of R.

Their one home is ``R/`` of the repository. The wheel ships copies beside the package; in an
installed R package they are part of that package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ISSUE_URL, InternalError

FIRST = "conditions.R"
"""A file that a folder of our R code always has."""

_ARGUMENTS = {
    "allow_upload": "allow.upload", "cluster_column": "cluster.column", "data": "object",
    "dry_run": "dry.run", "from_column": "from", "gene_column": "gene.column",
    "group_key": "group.by", "leave_out": "leave.out", "ontology_id": "ontology.id",
    "sample_key": "sample.by", "study_context": "study.context",
}  # fmt: skip
_VALUES = {"True": "TRUE", "False": "FALSE", "None": "NULL"}
_VERBS = {
    "annotate_cells()": "AnnotateCells()", "annotate_clusters()": "AnnotateClusters()",
    "build_artifacts()": "BuildArtifacts()", "read_markers()": "ReadMarkers()",
    "resume()": "ResumeAnnotation()", "train_reference()": "TrainReference()",
}  # fmt: skip

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class RSources:
    """R code as a folder of files, or as an R package installed in a library.

    Attributes
    ----------
    folder
        Folder with the files, or the library that the package is in.
    is_package
        Whether ``folder`` is a library.
    """

    folder: Path
    is_package: bool = False

    def files(self) -> list[Path]:
        """Return the files to source; functions only, so their order does not count."""
        return [] if self.is_package else sorted(self.folder.glob("*.R"))


def r_sources(package: Path = _PACKAGE) -> RSources:
    """Return where the R code that belongs to this Python code is.

    Parameters
    ----------
    package
        Folder of the Python package.

    Raises
    ------
    InternalError
        The installation is incomplete.
    """
    shipped = package / "seurat" / "r"
    if (shipped / FIRST).is_file():
        return RSources(shipped)
    # inst/python/cellferry of the repository, or python/cellferry of an installed R package.
    for root in package.parents[1:3]:
        description = root / "DESCRIPTION"
        if not description.is_file() or "Package: cellferry\n" not in _text(description):
            continue
        if (root / "R" / FIRST).is_file():
            return RSources(root / "R")
        if (root / "R" / "cellferry.rdb").is_file():
            return RSources(root.parent, is_package=True)
    message = f"The R files of cellferry are not beside its Python package in {package}."
    raise InternalError(message, f"Install cellferry again, or report it at {ISSUE_URL}.")


def in_r(name: str, value: str | None) -> str | None:
    """Return an argument or a function that a message names, as R writes it.

    Examples
    --------
    >>> in_r("allow_upload", "True"), in_r("annotate_cells()", None)
    ('`allow.upload = TRUE`', 'AnnotateCells()')
    """
    if name.endswith("()"):
        return _VERBS.get(name)
    written = _ARGUMENTS.get(name, name)
    return f"`{written}`" if value is None else f"`{written} = {_VALUES.get(value, value)}`"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
