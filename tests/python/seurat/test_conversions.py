"""The entry point of cellferry.seurat: what it imports, and where it must not be imported."""

import json
import os
import shutil
import subprocess
import sys
import types

import pytest

from cellferry import errors
from cellferry._version import pip_install
from fresh_python import python
from paths import ROOT
from r_session import needs_rpy2


def test_importing_it_starts_nothing():
    done = python(
        "import json, sys, cellferry.seurat as s\n"
        "print(json.dumps([sorted(s.__all__), [m for m in ('rpy2', 'pandas', 'anndata')"
        " if m in sys.modules]]))"
    )
    assert json.loads(done.stdout) == [["converter", "to_anndata", "to_seurat"], []], done.stderr


@needs_rpy2
def test_its_names_stay_functions_whatever_is_imported_first():
    done = python(
        "import cellferry.seurat.conversion, cellferry.seurat as s\n"
        "from cellferry.seurat import converter, to_anndata, to_seurat\n"
        "print(all(map(callable, (converter, to_anndata, to_seurat))), dir(s))"
    )
    assert done.stdout == "True ['converter', 'to_anndata', 'to_seurat']\n", done.stderr


def test_a_name_it_does_not_have_is_an_attribute_error():
    import cellferry.seurat

    with pytest.raises(AttributeError, match="no attribute 'to_annadata'"):
        _ = cellferry.seurat.to_annadata


def test_without_rpy2_the_error_has_the_line_that_installs_it():
    done = python(
        "import sys; sys.modules['rpy2'] = None\n"
        "from cellferry import errors\n"
        "from cellferry.seurat import to_anndata\n"
        "try: to_anndata(None)\n"
        "except errors.DependencyError as error: print(error.hint)"
    )
    assert done.stdout == f"Run: {pip_install('r', '--no-cache-dir')}\n", done.stderr


def test_a_python_that_r_hosts_is_refused(monkeypatch):
    from cellferry.seurat.session import refuse_inside_r

    refuse_inside_r()
    monkeypatch.setitem(sys.modules, "rpytools", types.ModuleType("rpytools"))
    monkeypatch.setitem(sys.modules, "rpy2.rinterface_lib.embedded", None)
    with pytest.raises(errors.EmbeddingError, match="through reticulate"):
        refuse_inside_r()
    started = types.SimpleNamespace(isinitialized=lambda: True)
    monkeypatch.setitem(sys.modules, "rpy2.rinterface_lib.embedded", started)
    monkeypatch.delenv("R_SESSION_INITIALIZED", raising=False)
    refuse_inside_r()
    monkeypatch.setenv("R_SESSION_INITIALIZED", 'PID=1:NAME="reticulate"')
    with pytest.raises(errors.EmbeddingError):
        refuse_inside_r()


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
@pytest.mark.parametrize("before", ["", "reticulate::py_run_string('import rpy2.rinterface')"])
def test_in_reticulate_importing_it_is_an_error_and_no_crash(before):
    """For real: Rscript, reticulate, and the import that would start a second R."""
    code = (
        f"reticulate::py_run_string(\"import sys; sys.path.insert(0, '{ROOT}/inst/python')\")\n"
        f"{before}\n"
        'said <- tryCatch(reticulate::py_run_string("import cellferry.seurat"),'
        " error = function(e) conditionMessage(e))\n"
        'cat(grepl("through reticulate", said[[1]]), "alive")'
    )
    done = subprocess.run(
        ["Rscript", "-e", code], capture_output=True, text=True, check=False,
        env={**os.environ, "RETICULATE_PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("TRUE alive"), done.stdout + done.stderr
