"""Real objects of R in .rds files."""

import subprocess

from cellferry.bridge.rds import child as rscript


def r_script(code):
    """Run R code in a session of its own; the objects go through files."""
    done = subprocess.run(
        ["Rscript", "-e", f"suppressPackageStartupMessages({{library(SeuratObject)}}); {code}"],
        capture_output=True, text=True, check=False, env=rscript.child_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


PBMC = (
    "x <- SeuratObject::pbmc_small; if (utils::packageVersion('SeuratObject') >= '5.0.0') {"
    " x <- suppressMessages(suppressWarnings(UpdateSeuratObject(x)));"
    " x[['RNA']] <- suppressWarnings(as(x[['RNA']], 'Assay5')) };"
)
