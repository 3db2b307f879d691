"""The helper process: limited before it reads, one answer per line."""

import json
import subprocess
import sys

import pytest

from cellferry.server.lookup.child import answer
from server_files import GENES, N_CELLS, write_vars_h5


def test_answers_and_failures(tmp_path):
    path = str(write_vars_h5(tmp_path / "v.h5"))
    request = {"operation": "inspect_vars_h5", "path": path}
    assert answer(request) == {"result": {"n_cells": N_CELLS, "n_genes": len(GENES)}}
    gone = answer({**request, "path": "/no/such/file"})
    assert gone["code"] == "INVALID_ARTIFACT"
    assert "/no/such" not in gone["error"]
    missing = answer(
        {
            "operation": "expression",
            "vars_path": path,
            "obs_path": None,
            "gene": "x",
            "max_cells": 1,
        }
    )
    assert missing["code"] == "NOT_FOUND"


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such limits")
@pytest.mark.parametrize(
    "attempt",
    [
        "open('{folder}/written', 'wb', buffering=0).write(b'x')",
        "bytearray(5 * 1024**3)",
        "[open('/dev/null') for _ in range(100)]",
    ],
)
def test_it_cannot_write_or_take_all_memory(tmp_path, attempt):
    script = f"from cellferry.server.lookup.child import limit; limit(); {attempt}"
    done = subprocess.run(
        [sys.executable, "-c", script.format(folder=tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Error" in done.stderr
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0


def test_a_process_answers_line_by_line_and_ends_with_its_input(tmp_path):
    path = str(write_vars_h5(tmp_path / "v.h5"))
    lines = [json.dumps({"operation": "inspect_vars_h5", "path": p}) for p in (path, "/gone")]
    done = subprocess.run(
        [sys.executable, "-m", "cellferry.server.lookup.child"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["result"]["n_cells"] == N_CELLS
    assert second["code"] == "INVALID_ARTIFACT"
