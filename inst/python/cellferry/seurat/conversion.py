"""One ``with`` block in which Seurat, SingleCellExperiment, AnnData and R's own types convert."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from ..errors import DependencyError, InvalidOptionError
from .columns import frame_from_r, frame_to_r
from .session import RObject, call, install_line, r_interface
from .vectors import names, text_vector

if TYPE_CHECKING:
    import pandas as pd
    from rpy2.robjects.conversion import Converter

AnnDataAs = Literal["Seurat", "SingleCellExperiment"]


@contextmanager
def converter(anndata_as: AnnDataAs = "Seurat", *, assay: str | None = None) -> Iterator[Converter]:
    """Convert what crosses to and from R by rpy2 inside a ``with`` block.

    Built on anndata2ri, which brings numpy, pandas and sparse matrices. Inside the block

    * R's Seurat and SingleCellExperiment objects become AnnData as :func:`to_anndata` does, exact
      in NA, factors and dates, where anndata2ri alone turns a missing integer into -2147483648;
    * AnnData becomes a Seurat object as :func:`to_seurat` does, or with
      ``anndata_as="SingleCellExperiment"`` what anndata2ri makes of it;
    * data frames convert with the same care, factors are ``Categorical``;
    * vectors and sparse matrices convert as in anndata2ri.

    The rules apply in this thread and in this block only.

    Parameters
    ----------
    anndata_as
        What an AnnData becomes in R.
    assay
        Assay that is read of a Seurat object; None is its default assay.

    Yields
    ------
    rpy2.robjects.conversion.Converter
        The rules, to be combined with others.

    Raises
    ------
    DependencyError
        rpy2 or anndata2ri is not installed.

    Examples
    --------
    >>> import rpy2.robjects as ro
    >>> with converter():
    ...     adata = ro.r("SeuratObject::pbmc_small")
    >>> adata.shape
    (80, 230)
    """
    valid = ("Seurat", "SingleCellExperiment")
    if anndata_as not in valid:
        message = f'`anndata_as` must be one of {valid}, not "{anndata_as}".'
        raise InvalidOptionError(message)
    r_interface()
    from rpy2.robjects.conversion import localconverter

    rules = _rules(anndata_as, assay)
    with localconverter(rules):
        yield rules


def _rules(anndata_as: str, assay: str | None) -> Converter:
    try:
        import anndata2ri
    except ImportError as error:
        message = "The converter builds on anndata2ri, which is not installed."
        raise DependencyError(message, f"Run: {install_line()}") from error
    from anndata import AnnData
    from pandas import DataFrame
    from rpy2.rinterface import ListSexpVector, SexpS4
    from rpy2.robjects import conversion, default_converter, pandas2ri

    from .reading import to_anndata
    from .writing import to_seurat

    # anndata2ri alone makes the integer codes of a factor and a record array of a data frame.
    base = default_converter + anndata2ri.converter + pandas2ri.converter
    rules = conversion.Converter("cellferry", template=base)
    other_s4 = base.rpy2py.dispatch(SexpS4)

    def from_r(robj: RObject) -> object:
        if _is(robj, "Seurat"):
            return to_anndata(robj, assay=assay)
        return to_anndata(robj) if _is(robj, "SingleCellExperiment") else other_s4(robj)

    rules.rpy2py.register(SexpS4, from_r)
    rules.rpy2py_nc_map[ListSexpVector].update({"data.frame": _frame_from_r})
    rules.py2rpy.register(DataFrame, _frame_to_r)
    if anndata_as == "Seurat":
        rules.py2rpy.register(AnnData, lambda adata: to_seurat(adata, assay=assay))
    return rules


def _frame_from_r(robj: RObject) -> pd.DataFrame:
    """Return a data frame by our exact columns; one with other columns by pandas2ri."""
    from rpy2.robjects import pandas2ri

    rows = names(call("base::row.names", robj))
    found = frame_from_r(call("extract_metadata_columns", robj), rows, "frame")
    if any(item.action == "left" for item in found.items):
        frame: pd.DataFrame = pandas2ri.rpy2py_dataframe(robj)
        return frame
    return found.frame


def _frame_to_r(frame: pd.DataFrame) -> RObject:
    from rpy2.robjects import pandas2ri
    from rpy2.robjects.vectors import DataFrame

    columns, items = frame_to_r(frame, "frame")
    if any(item.action == "left" for item in items) or not frame.index.is_unique:
        return pandas2ri.py2rpy_pandasdataframe(frame)
    rows = text_vector([str(name) for name in frame.index])
    return DataFrame(call("construct_frame", columns, rows))


def _is(robj: RObject, class_name: str) -> bool:
    return bool(call("base::inherits", robj, text_vector([class_name]))[0])
