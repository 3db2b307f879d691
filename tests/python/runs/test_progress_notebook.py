"""Progress in a notebook: a real kernel executes cells, and the notebook is what a user saves."""

import re

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

from paths import PACKAGE  # noqa: E402

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    # Of the kernel's client, on closing.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]

SLOW = """
import time
import cellferry

class Slow(cellferry.engines.Local):
    def run(self, study, run, events):
        for done in range(4):
            events.emit("progress", done=done, total=4, unit="cluster")
            events.wait(0.4)
        {end}
        return super().run(study, run, events)

print("before")
found = cellferry.annotate_clusters({{"a": ["CD79A", "MS4A1", "CD79B", "CD19"]}}, engine=Slow())
print(found["a"].label)
"""


class Watched(nbclient.NotebookClient):
    """A client that remembers what was displayed meanwhile."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in {"display_data", "update_display_data"}:
            self.seen.append(msg["content"]["data"]["text/plain"])
        return super().process_message(msg, cell, cell_index)


def executed(tmp_path, monkeypatch, *cells, **options):
    """Return the texts that were displayed and the outputs that are saved, cell by cell."""
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = Watched(notebook, timeout=120, kernel_name="python3", **options)
    client.seen = []
    client.execute()
    path = tmp_path / "saved.ipynb"
    nbformat.write(notebook, path)
    nbformat.validate(nbformat.read(path, as_version=4))
    return client.seen, [cell.outputs for cell in nbformat.read(path, as_version=4).cells]


def shown(outputs):
    """Return what somebody who opens the notebook sees, as text."""
    return "".join(one.get("text", "") + "".join(one.get("data", {}).values()) for one in outputs)


def test_the_line_is_seen_while_it_takes_time_and_not_in_the_saved_notebook(tmp_path, monkeypatch):
    seen, (outputs,) = executed(tmp_path, monkeypatch, SLOW.format(end=""))
    assert any(re.fullmatch(r"Annotating clusters: [1-3] of 4", text) for text in seen)
    # It is one line, drawn anew: a single output, which is empty in the end.
    assert seen[-1] == ""
    assert len(seen) >= 3
    assert shown(outputs) == "before\nB cell\n"
    assert sum(one.output_type == "display_data" for one in outputs) == 1


def test_after_an_error_nothing_is_left_either(tmp_path, monkeypatch):
    cell = SLOW.format(end='raise OSError("no disk")')
    seen, (outputs,) = executed(tmp_path, monkeypatch, cell, allow_errors=True)
    assert any("of 4" in text for text in seen)
    assert [one.ename for one in outputs if one.output_type == "error"] != []
    assert shown(outputs) == "before\n"


def test_what_is_quick_displays_nothing(tmp_path, monkeypatch):
    cell = """
import cellferry
import cellferry.runs.progress
cellferry.runs.progress.NOTEBOOK_SECONDS = 3600.0
found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1"]})
"""
    seen, (outputs,) = executed(tmp_path, monkeypatch, cell)
    assert (seen, outputs) == ([], [])


def test_options_of_engines_are_completed_in_a_notebook(tmp_path, monkeypatch):
    """A kernel is asked as the front end asks it, at the end of a line."""
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    manager, client = start_new_kernel(kernel_name="python3")

    def completed(code):
        return client.complete(code, reply=True, timeout=60)["content"]["matches"]

    try:
        client.execute("import cellferry", reply=True, timeout=60)
        assert "n_genes=" in completed("cellferry.engines.Local(n_g")
        assert "group_key=" in completed("cellferry.annotate_clusters(x, group_")
        assert "LLM" in "".join(completed("cellferry.engines.LL"))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
