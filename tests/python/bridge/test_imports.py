"""What a first ``AnnotateClusters()`` imports: the seconds that an R session waits for Python."""

import json

import pytest

from fresh_python import python
from paths import SUPPORT

NOT_NEEDED = [
    "anndata", "click", "dask", "duckdb", "h5py", "httpx", "jinja2", "matplotlib", "pydantic",
    "pydantic_ai", "rich", "scipy.optimize", "scipy.stats", "starlette", "zarr",
]  # fmt: skip

CODE = """
import json, sys
sys.path.insert(0, {support!r})
from bridge_messages import CODES, Message, ask, begin, send
from plain_genes import plain_genes
from scipy import sparse
import numpy as np
OWN = ["CD79A", "MS4A1", "CD79B", "CD3E", "CD3D", "TRAC"]
GENES = [*OWN, *plain_genes(200)]
message = Message()
real = {{"avg_log2FC": 2.0, "pct.1": 0.9, "pct.2": 0.1, "p_val_adj": 0.0}}
frame = {{"n": 6, "columns": [
    *(
        {{"name": name, "kind": "real", "values": message.vector([value] * 6, "<f8")}}
        for name, value in real.items()
    ),
    {{"name": "cluster", "kind": "text", "values": ["10"] * 3 + ["2"] * 3}},
    {{"name": "gene", "kind": "text", "values": OWN}},
]}}
body = {{
    "engine": {{"name": "local", "options": {{}}}}, "key": "cell_type", "existing": [],
    "reserved": {{}}, "stored": {{}}, "overwrite": False, "allow_upload": False,
    "parameters": {{}},
    "study": {{
        "group_key": "ident", "names": ["10", "2"], "codes": message.vector(CODES, "<i4"),
        "cells": [f"c{{i}}" for i in range(len(CODES))], "genes": GENES, "markers": frame,
        "object": "Seurat",
    }},
}}
answer = begin(body, message)
assert answer["ok"], answer
random = np.random.default_rng(0)
values = np.log1p(random.poisson(0.3, (len(CODES), len(GENES))) * 1.37)
values[:10, :3] += 2.2
values[10:20, 3:6] += 2.1
values[10:, :3] = values[:10, 3:6] = 0
wanted = answer["value"]["normalized"]
send(answer["value"]["handle"], sparse.csr_matrix(values[:, [GENES.index(g) for g in wanted]]))
answer, _ = ask("annotate", {{"handle": answer["value"]["handle"]}}, ())
assert answer["ok"], answer
print(json.dumps([m for m in {modules} if m in sys.modules]))
"""


@pytest.mark.process
def test_clusters_are_annotated_without_what_they_do_not_need(tmp_path):
    code = CODE.format(support=str(SUPPORT), modules=NOT_NEEDED)
    done = python(code, CELLFERRY_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
