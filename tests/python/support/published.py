"""Published packages, each in an environment of its own, outside of the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cellferry"
HOME = Path(os.environ.get("CELLFERRY_PUBLISHED_CLIENTS") or CACHE / "published-clients")
"""Environments are kept from one run of the suite to the next."""

SCRIPT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import anndata
from cytetype import CyteType
url, source, old = sys.argv[1], sys.argv[2], sys.argv[3] == "0.12.0"
adata = anndata.read_h5ad(source)
if old:
    annotator = CyteType(adata, group_key="louvain", gene_symbols_column="gene_symbols")
    found = annotator.run(study_context="blood", api_url=url, poll_interval_seconds=1,
                          metadata={"tissue": "blood"})
else:
    annotator = CyteType(adata, group_key="louvain", gene_symbols_column="gene_symbols",
                         api_url=url, auth_token="any")
    found = annotator.run(study_context="blood", poll_interval_seconds=1,
                          metadata={"tissue": "blood"})
columns = [c for c in found.obs if c.startswith("cytetype_")]
pairs = found.obs.groupby("louvain", observed=True)["cytetype_annotation_louvain"].unique()
print("FOUND" + json.dumps({
    "columns": columns,
    "labels": {str(k): [str(x) for x in v] for k, v in pairs.items()},
    "results": json.loads(found.uns["cytetype_results"]["result"]),
    "job": str(found.uns.get("cytetype_jobDetails", {}).get("job_id")),
}))
"""


def python_for(version):
    """Return a Python that can run a version of the client, or None."""
    if version == "0.12.0":
        return sys.executable
    if sys.version_info >= (3, 12):
        return sys.executable
    for name in ("python3.13", "python3.12"):
        found = shutil.which(name)
        if (
            found
            and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return found
    # pyenv's shims exist for versions that are not switched on.
    for found in sorted(Path.home().glob(".pyenv/versions/3.1[23].*/bin/python")):
        return str(found)
    return None


def client(version):
    """Return the Python of an environment with the client, or skip the test and say why."""
    base = python_for(version)
    if base is None:
        pytest.skip(f"cytetype {version} needs Python 3.12 or newer, and there is none")
    return installed("cytetype", version, base)


def installed(package, version, base=sys.executable):
    """Return the Python of an environment with one package, or skip the test and say why."""
    folder = HOME / f"{package}-{version}-{Path(base).resolve().parent.parent.name}"
    found = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([base, "-m", "venv", folder], check=True, capture_output=True, env=plain())
        done = subprocess.run(
            [found, "-m", "pip", "install", "-q", f"{package}=={version}"],
            capture_output=True, text=True, check=False, env=plain(),
        )  # fmt: skip
        if done.returncode != 0:
            pytest.skip(f"{package} {version} cannot be installed: {done.stderr.strip()[-200:]}")
        (folder / "ready").touch()
    return found


def plain():
    """Return an environment without this project's paths and without a user's settings."""
    drop = ("LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CYTETYPE_API_URL")
    return {k: v for k, v in os.environ.items() if k not in drop}
