import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from paths import ROOT
from r_session import needs_rpy2, r, r_true, r_with

pytestmark = needs_rpy2


def test_a_view_is_the_memory_of_r_itself():
    from cellferry.seurat.views import view

    vector = r("c(1.5, 2.5)")
    first, second = view(vector), view(vector)
    assert first.ctypes.data == second.ctypes.data
    assert list(first) == [1.5, 2.5]


def test_a_view_cannot_be_written():
    from cellferry.seurat.views import view

    with pytest.raises(ValueError, match="read-only"):
        view(r("c(1, 2)"))[0] = 5


def test_what_r_changes_afterwards_does_not_show_in_the_view():
    from cellferry.seurat.views import view

    seen = view(r_with("{ m <- c(1, 2, 3); m }"))
    r("m[1] <- 99")
    assert list(seen) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("c(TRUE, NA, FALSE)", [1, -(2**31), 0]), ("c(1L, NA)", [1, -(2**31)]), ("1:3", [1, 2, 3]),
     ("as.raw(0:2)", [0, 1, 2]), ("double()", [])],
)  # fmt: skip
def test_every_kind_of_vector(code, expected):
    from cellferry.seurat.views import view

    assert view(r(code)).tolist() == expected


def test_text_has_no_numbers_to_look_at():
    from cellferry.seurat.views import view

    with pytest.raises(TypeError, match="StrSexpVector"):
        view(r("'a'"))


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(st.sampled_from(["f8", "f4", "i4", "i8", "u2", "?"]), st.integers(0, 50)))
def test_a_new_vector_holds_the_values_whatever_their_dtype(values):
    from cellferry.seurat.views import new_vector, view

    back = view(new_vector(values, "double"))
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, values.astype("f8"))


def test_na_and_nan_of_r_keep_their_bits_there_and_back():
    from cellferry.seurat.views import new_vector, view

    given = r("c(NA, NaN, Inf, -0)")
    back = new_vector(view(given).copy(), "double")
    assert r_true(
        "identical(is.nan(a), is.nan(b)) && identical(a, b, single.NA = FALSE)", a=given, b=back
    )


TORTURE = """
import gc
import rpy2.rinterface as rinterface
rinterface.initr()
from cellferry.seurat.views import view, new_vector
from cellferry.seurat import to_anndata
import numpy as np

r = rinterface.evalr
views = [view(r("as.double(1:1e6)")), view(r("1:1000000 + 0L"))]
made = view(new_vector(np.arange(1e6), "double"))
# Seurat is loaded before, for it takes minutes under torture.
adata = to_anndata(r("SeuratObject::pbmc_small"))
before = adata.X.sum(), adata.layers["counts"].sum()
gc.collect()
r("gctorture2(100, inhibit_release = FALSE)")
for k in range(20):
    r("{ x <- lapply(1:20, function(i) runif(1e4)); rm(x); invisible(gc()) }")
r("gctorture(FALSE)")
for k in range(30):
    r("{ x <- lapply(1:100, function(i) runif(1e5)); rm(x); invisible(gc()) }")
assert views[0][-1] == 1e6 and views[0].sum() == 1e6 * (1e6 + 1) / 2
assert views[1][-1] == 1e6
assert made[-1] == 1e6 - 1
assert (adata.X.sum(), adata.layers["counts"].sum()) == before
print("alive")
"""


def test_a_view_outlives_the_vector_under_garbage_collection():
    """In a child: with the naive view of rpy2 this is a segmentation fault."""
    kept = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", TORTURE], capture_output=True, text=True, check=False,
        env={**kept, "PYTHONPATH": str(ROOT / "inst" / "python")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-2000:]
