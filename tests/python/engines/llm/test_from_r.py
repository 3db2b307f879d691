"""From R, in a process of its own: an interrupt stops the batch within a second."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from llm_server import Server
from paths import ROOT

pytestmark = pytest.mark.r


SCRIPT = """
suppressMessages(library(cellferry))
lists <- list(a = c("CD79A", "MS4A1"), b = c("CD3D", "CD3E"), c = c("LYZ", "CD14"))
tryCatch(
  AnnotateClusters(
    ReadMarkers(lists), engine = LLMEngine("openai", "m", base_url = "URL"), species = "human"),
  interrupt = function(cnd) cat("STOPPED interrupt\\n"),
  error = function(cnd) cat("STOPPED", class(cnd)[1], cnd$data$run, "\\n"))
cat("RUNS", ListRuns()$status, "\\n")
"""


@pytest.mark.skipif(
    shutil.which("Rscript") is None or not (ROOT / ".rlib" / "cellferry").exists(),
    reason="the R package is not installed by scripts/setup",
)
def test_an_interrupt_in_r_stops_within_a_second_and_the_run_is_kept(tmp_path, own_home):
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    environment["R_LIBS"] = str(ROOT / ".rlib")
    environment["RETICULATE_PYTHON"] = sys.executable
    with Server(delay=30) as server:
        server.script = {("B cell", "*"): ["slow:0", "..."]}
        script = tmp_path / "x.R"
        script.write_text(SCRIPT.replace("URL", server.url), encoding="utf-8")
        child = subprocess.Popen(
            ["Rscript", script], stdout=subprocess.PIPE, text=True, env=environment
        )
        deadline = time.monotonic() + 60
        # The finished cluster is on disk, the others wait for their answers.
        while len(server.log) < 4:
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        first = child.stdout.readline()
        spent = time.monotonic() - began
        # Not communicate(): it reads past what readline() has already taken from the pipe.
        rest = child.stdout.read()
        child.wait(timeout=40)
    assert first.startswith("STOPPED cellferry_interrupted_error"), first + rest
    # Long before the server would have answered.
    assert spent < 15
    assert "RUNS interrupted" in rest
    journals = list(own_home.rglob("journal.jsonl"))
    assert [j.read_text(encoding="utf-8").count("B cell") > 0 for j in journals] == [True]
