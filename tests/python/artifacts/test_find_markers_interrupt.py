"""Ctrl-C ends the search for markers at once, and the object stays as it was."""

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import sys, threading, time
import anndata, numpy as np, pandas as pd
from scipy.sparse import random as sparse
import cellferry

rng = np.random.default_rng(1)
values = sparse(30_000, 3_000, density=0.05, format="csr", random_state=rng, dtype="f4")
adata = anndata.AnnData(values)
adata.obs["leiden"] = pd.Categorical(rng.integers(0, 30, 30_000))
before = set(adata.uns), list(adata.obs.columns)
print("ready", flush=True)
try:
    while True:
        cellferry.find_markers(adata, "leiden", key_added="ranking", progress=False)
        print("found", flush=True)
except KeyboardInterrupt:
    print("interrupted", set(adata.uns) <= {"ranking"}, list(adata.obs.columns), flush=True)
"""


@pytest.mark.process
def test_an_interrupt_ends_the_search(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.7)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "interrupted True ['leiden']", err
    assert time.monotonic() - began < 30
