"""R inside the tests: skips with the one reason that is allowed, and small R objects."""

import importlib.util
import shutil

import pytest

HAS_R = shutil.which("Rscript") is not None
HAS_RPY2 = importlib.util.find_spec("rpy2") is not None

needs_rscript = pytest.mark.skipif(not HAS_R, reason="R is not installed")
needs_rpy2 = pytest.mark.skipif(
    not (HAS_R and HAS_RPY2), reason="R is not installed" if not HAS_R else "rpy2 is not installed"
)


def r(code):
    """Evaluate R code and return the low-level object."""
    from cellferry.seurat.session import r_interface

    return r_interface().evalr(code)


def r_with(code, **values):
    """Evaluate R code in which the given objects have names."""
    from cellferry.seurat.session import r_interface

    rinterface = r_interface()
    for name, value in values.items():
        rinterface.globalenv[name] = value
    try:
        return rinterface.evalr(code)
    finally:
        names = rinterface.StrSexpVector(list(values))
        rinterface.baseenv["rm"].rcall(
            [("list", names), ("envir", rinterface.globalenv)], rinterface.globalenv
        )


def r_true(code, **values):
    """Whether R code is TRUE, with the objects under their names."""
    return bool(r_with(f"isTRUE({{{code}}})", **values)[0])


def seurat_generation():
    return int(str(r('as.character(utils::packageVersion("SeuratObject"))')[0]).split(".")[0])


def pbmc(older_assay=False):
    """The real object that ships with SeuratObject, with the assay of the generation that R has."""
    made = r(
        "{ library(SeuratObject); library(Matrix); x <- SeuratObject::pbmc_small; if ("
        "utils::packageVersion('SeuratObject') >= '5.0.0') suppressMessages(suppressWarnings("
        "UpdateSeuratObject(x))) else x }"
    )
    if older_assay or seurat_generation() < 5:
        return made
    return r_with("suppressWarnings({ x[['RNA']] <- as(x[['RNA']], 'Assay5'); x })", x=made)
