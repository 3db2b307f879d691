import logging
import signal
import warnings
from pathlib import Path

import hypothesis
import pytest

from cellferry.errors import language

HERE = Path(__file__).parent

# The examples of a property are the same in every run, so that a failure is that of the change;
# others are looked for by `make properties`, a thousand where a test does not say how many.
# A deadline would say how busy the machine is.
hypothesis.settings.register_profile("cellferry", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000, derandomize=False)
hypothesis.settings.load_profile("cellferry")

# A package of somebody else, whose tests run where it is installed: test_installed.py.
collect_ignore = ["engines/stranger"]
# Where what a test shows may differ between Debian 12 and 13, and what is run in the lane alone:
# what is somebody else's, and the server, so that both take equally long.
VERSIONS_OF_R = {"bridge", "compat", "seurat"}
VERSIONS = VERSIONS_OF_R | {"annotate", "artifacts", "files", "study"}
LANE = {"azimuth", "celltypist", "server", "singler", "test_recipes.py"}
NAMES_DO_NOT_COUNT = {"cytetype", "llm", "cellatlas", "test_cytetype.py", "test_signed.py"}
UNKNOWN_GENES = "ignore::cellferry.errors.GenesUnrecognisedWarning"


def pytest_configure():
    """Let the children of tests be interrupted: what a shell runs in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark what needs R, which `make test-fast` leaves out, and where `make test` runs a test."""
    from r_session import needs_rpy2, needs_rscript

    for item in items:
        if any(mark in (needs_rscript.mark, needs_rpy2.mark) for mark in item.iter_markers()):
            item.add_marker("r")
        places = {*item.path.relative_to(HERE).parts}
        of_r = item.get_closest_marker("r") is not None
        if (VERSIONS_OF_R if of_r else VERSIONS) & places:
            item.add_marker("versions")
        if LANE & places:
            item.add_marker("lane")
        # What these engines send and read does not depend on what the genes are called.
        if NAMES_DO_NOT_COUNT & {*item.path.parts, item.path.name}:
            item.add_marker(pytest.mark.filterwarnings(UNKNOWN_GENES))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Keep the runs of a test out of the user's data folder, and R out of its children."""
    home = tmp_path / "cellferry-home"
    monkeypatch.setenv("CELLFERRY_HOME", str(home))
    # R, once it runs in this process, sets it, and a child of a later test would not start.
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    return home


LOGGING = (list(logging.getLogger("cellferry").handlers), logging.getLogger("cellferry").level)


@pytest.fixture(autouse=True)
def own_logging(monkeypatch):
    """Give back what the command line sets for its process, so that tests need no order."""
    logger = logging.getLogger("cellferry")
    # A fixture of a whole module may have used the command line before this.
    handlers, level = LOGGING
    logger.handlers[:] = handlers
    logger.setLevel(level)
    language.set("python")
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture(scope="session")
def ranked_blood():
    """scanpy's 700 blood cells, ranked by their clusters on the log-normalised values."""
    import scanpy

    adata = scanpy.datasets.pbmc68k_reduced()
    scanpy.tl.rank_genes_groups(adata, "louvain", method="t-test", pts=True)
    return adata


@pytest.fixture
def blood(ranked_blood):
    """A copy of the ranked blood cells that a test may change."""
    return ranked_blood.copy()


@pytest.fixture
def llm_server():
    """A model server on loopback; see :mod:`llm_server`."""
    from llm_server import Server

    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def pbmc_rds(tmp_path_factory):
    """SeuratObject's 80 blood cells in an .rds, at a path that is not ASCII."""
    from rds_files import PBMC, r_script

    path = tmp_path_factory.mktemp("rds") / "pbmc é.rds"
    r_script(f"{PBMC} saveRDS(x, '{path}')")
    return path
