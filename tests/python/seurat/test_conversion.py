import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellferry import errors
from r_session import needs_rpy2, pbmc, r, r_true

pytestmark = needs_rpy2


@pytest.fixture
def ro():
    import rpy2.robjects

    pytest.importorskip("anndata2ri", reason="anndata2ri is not installed")
    return rpy2.robjects


def test_everything_converts_in_one_block(ro):
    from cellferry.seurat import converter

    r("library(SeuratObject)")
    ro.globalenv["stored"] = pbmc()
    with converter():
        adata = ro.globalenv["stored"]
        assert adata.shape == (80, 230)
        ro.globalenv["there"] = adata
        assert list(ro.r("class(there)")) == ["Seurat"]
        assert list(ro.r("function(x) dim(x)")(adata)) == [230, 80]
        assert isinstance(ro.r("c(1.5, 2)"), np.ndarray)
        assert sp.issparse(ro.r("Matrix::Matrix(c(0, 1.5), 2, sparse = TRUE)"))
        assert list(ro.r("factor(c('b', 'a'), c('b', 'a'))").categories) == ["b", "a"]
    assert r_true("identical(there@meta.data, stored@meta.data)")


def test_data_frames_keep_na_and_types_both_ways(ro):
    from cellferry.seurat import converter

    code = (
        "data.frame(l = c(TRUE, NA), i = c(1L, NA), d = as.Date(c(1, NA), origin = '1970-01-01'))"
    )
    with converter():
        frame = ro.r(code)
        assert [str(t) for t in frame.dtypes] == ["boolean", "Int32", "datetime64[s]"]
        assert frame.isna().iloc[1].all()
        ro.globalenv["given"] = pd.DataFrame(
            {"i": pd.array([1, None], dtype="Int64")}, index=list("ab")
        )
    assert r_true("identical(given, data.frame(i = c(1L, NA), row.names = c('a', 'b')))")


def test_single_cell_experiment_both_ways(ro):
    from cellferry.seurat import converter

    code = (
        "{ suppressPackageStartupMessages(library(SingleCellExperiment));"
        " m <- as(matrix(c(1, 0, 2, 3), 2, dimnames = list(c('a', 'b'), c('c1', 'c2'))),"
        " 'CsparseMatrix'); SingleCellExperiment(list(counts = m, logcounts = log1p(m)),"
        " colData = DataFrame(n = c(1L, NA))) }"
    )
    with converter("SingleCellExperiment"):
        adata = ro.r(code)
        assert adata.obs["n"].isna().tolist() == [False, True]
        ro.globalenv["there"] = adata[:, :].copy()
    assert r_true("is(there, 'SingleCellExperiment') && identical(dim(there), c(2L, 2L))")


def test_the_rules_end_with_the_block(ro):
    from cellferry.seurat import converter

    with converter():
        pass
    assert type(ro.r("SeuratObject::pbmc_small")).__name__ == "RS4"


def test_an_unknown_target_names_the_valid_ones(ro):
    from cellferry.seurat import converter

    with pytest.raises(errors.InvalidOptionError, match="SingleCellExperiment"), converter("SCE"):
        pass
