"""The live page of an object: a real process, asked over real HTTP."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import cellferry
from cellferry.annotations.report import policy
from cellferry.runs.reviews import ReviewFolder
from page_objects import labelled_cells
from review_pages import PageClient, Proxy, mask, values_of

pytestmark = [
    pytest.mark.process,
]
N = 300
CHROMIUM = os.environ.get("CELLFERRY_CHROMIUM") or shutil.which("chromium")


@pytest.fixture(scope="module")
def adata():
    found = labelled_cells(N, 6, 200)
    found.obsm["protein"] = found.to_df().iloc[:, :3].rename(columns={"CD3D": "<b>CD3</b>"})
    return found


@pytest.fixture(scope="module")
def shared(adata, tmp_path_factory):
    """One page for the tests that change nothing."""
    before = os.environ.get("CELLFERRY_HOME")
    os.environ["CELLFERRY_HOME"] = str(tmp_path_factory.mktemp("reviews"))
    try:
        page = cellferry.review(adata, open_browser=False, progress=False)
    finally:
        os.environ.pop("CELLFERRY_HOME")
        if before is not None:
            os.environ["CELLFERRY_HOME"] = before
    yield page
    page.stop()


@pytest.fixture
def own(adata, own_home):
    page = cellferry.review(adata, open_browser=False, progress=False)
    yield page
    page.stop()


def test_the_page_may_be_framed_here_and_load_nothing_from_elsewhere(shared):
    status, headers, body = PageClient(shared.address).ask()
    assert status == 200
    frames = "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
    assert headers["content-security-policy"] == f"{policy(live=True)}; {frames}"
    assert "x-frame-options" not in headers
    assert "set-cookie" not in headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert b'href="/' not in body
    index = PageClient(shared.address).index()
    assert index["live"] == {
        "base": "data/", "decisions": "data/decisions", "writable": True, "cells": True,
        "compare": True, "done": False, "lists": "data/lists",
    }  # fmt: skip
    assert index["n_cells"] == N
    assert index["features"] == [{"key": "protein_", "names": ["<b>CD3</b>", "CD3E", "IL7R"]}]


def test_every_block_is_what_the_object_has(shared, adata):
    client = PageClient(shared.address)
    index = client.index()
    rows = np.frombuffer(client.block("clusters"), "<u2")
    names = [index["rows"][i]["cluster"] for i in rows]
    assert names == adata.obs["leiden"].astype(str).tolist()
    genes = client.block("genes").decode().split("\n")
    assert genes == list(adata.var_names)
    values = adata.X.toarray()
    for gene in (0, 7, 199):
        read = values_of(client.block(f"gene/{gene}"))
        np.testing.assert_allclose(read, values[:, gene], atol=values[:, gene].max() / 500)
    read = values_of(client.block("feature/0/1"))
    np.testing.assert_allclose(read, values[:, 1], atol=values[:, 1].max() / 500)
    summary = np.frombuffer(client.block("summary"), np.uint8)
    shares = summary[: 200 * len(index["rows"])].reshape(200, -1) / 255
    inside = rows == 2
    np.testing.assert_allclose(shares[:, 2], (values[inside] > 0).mean(axis=0), atol=1 / 250)
    for i, column in enumerate(index["cells"]["columns"]):
        content = client.block(f"column/{i}")
        if column["kind"] == "number":
            found = np.frombuffer(content, "<f4")
            np.testing.assert_allclose(found, adata.obs[column["name"]].astype(float), rtol=1e-6)
        else:
            codes = np.frombuffer(content, "<u2")
            texts = [None if c == 65535 else column["levels"][c] for c in codes]
            values = adata.obs[column["name"]]
            assert texts == [
                None if v is None else str(v)
                for v in values.astype(object).where(values.notna(), None)
            ]
    assert len(np.frombuffer(client.block("coordinates/1"), "<u2")) == 2 * N
    assert any(t["id"] == "CL:0000236" for t in json.loads(client.block("terms")))


@pytest.mark.parametrize(
    "name",
    ["gene/200", "gene/-1", "gene/x", "gene/1/2", "feature/0/9", "feature/7/0", "column/99", "",
     "a", "../review.json", "..%2freview.json", "histogram/0", "gene/" + "9" * 30],
)  # fmt: skip
def test_there_is_no_other_block(shared, name):
    status, _, body = PageClient(shared.address).ask(f"data/{name}")
    assert status == 404
    assert json.loads(body)["message"]


def test_only_this_machine_and_only_with_the_token(shared):
    client = PageClient(shared.address)
    for host in ("evil.example", "evil.example:80", "10.0.0.1", "[", "127.0.0.1.evil.example"):
        assert client.ask(Host=host)[0] == 403
    assert client.ask(Host="localhost:99")[0] == 200
    for path in (
        "/",
        "/wrong/",
        "/wrong/data/genes",
        "//",
        "/health",
        f"{shared.address[-34:-2]}/",
    ):
        assert client.ask(path if path.startswith("/") else f"/{path}")[0] == 404
    moved = client.ask(client._parts.path.rstrip("/"))
    assert (moved[0], moved[1]["location"]) == (307, f"{client._parts.path.strip('/')}/")
    address = socket.gethostbyname(socket.gethostname())
    if not address.startswith("127."):
        with pytest.raises(ConnectionError):
            socket.create_connection((address, client._parts.port), timeout=2).close()


def test_a_form_of_another_site_is_refused(shared):
    client = PageClient(shared.address)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        status, _, body = client.ask("data/decisions", b'{"decisions": []}', Content_Type=kind)
        assert status == 415, body
    assert client.ask("data/done", b"{}", Content_Type="text/plain")[0] == 415
    # Behind a proxy the origin is another; who knows the address may write.
    assert (
        client.ask("data/decisions", {"decisions": []}, Origin="https://rstudio.example")[0] == 422
    )


BAD = {
    "no JSON": b"{",
    "no decisions": {},
    "none": {"decisions": []},
    "no object": {"decisions": [3]},
    "unknown cluster": {"decisions": [{"cluster": "99", "decision": "accepted"}]},
    "both": {"decisions": [{"cluster": "0", "cells": mask([1], N), "decision": "accepted"}]},
    "neither": {"decisions": [{"decision": "accepted"}]},
    "label and needs_work": {
        "decisions": [{"cluster": "0", "decision": "needs_work", "label": "B cell"}]
    },
    "no label": {"decisions": [{"cluster": "0", "decision": "relabelled"}]},
    "no such decision": {"decisions": [{"cluster": "0", "decision": "maybe"}]},
    "nothing to withdraw": {"decisions": [{"cluster": "0", "decision": "withdrawn"}]},
    "bidi": {"decisions": [{"cluster": "0", "decision": "relabelled", "label": "B\u202ecell"}]},
    "control": {"decisions": [{"cluster": "0", "decision": "accepted", "reason": "a\u0000b"}]},
    "long": {"decisions": [{"cluster": "0", "decision": "relabelled", "label": "x" * 999}]},
    "surrogate": b'{"decisions": [{"cluster": "0", "decision": "accepted", "by": "\\ud800"}]}',
    "no term": {
        "decisions": [
            {"cluster": "0", "decision": "relabelled", "label": "B", "ontology_id": "CL:1"}
        ]
    },
    "no base64": {"decisions": [{"cells": "!", "decision": "relabelled", "label": "B cell"}]},
    "short mask": {
        "decisions": [{"cells": mask([1], 8), "decision": "relabelled", "label": "B cell"}]
    },
    "cells that are not there": {
        "decisions": [{"cells": mask([N + 2], N + 4), "decision": "relabelled", "label": "B"}]
    },
    "no cell": {"decisions": [{"cells": mask([], N), "decision": "relabelled", "label": "B cell"}]},
    "second is bad": {
        "decisions": [
            {"cluster": "0", "decision": "relabelled", "label": "B cell"},
            {"cluster": "0", "cells": "A", "decision": "accepted"},
        ]
    },
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_decision_is_refused_with_a_sentence(shared, what):
    status, message = PageClient(shared.address).refused("data/decisions", BAD[what])
    assert status in {400, 422}
    assert message.endswith(".")
    assert not ReviewFolder(shared.folder).decisions.exists()


def test_two_rows_are_compared_by_our_own_test(shared, adata):
    client = PageClient(shared.address)
    found = client.json("data/compare", {"a": {"rows": [2]}, "b": {"rest": True}})
    table = cellferry.find_markers(
        adata, "leiden", ident_1="2", progress=False, return_thresh=None
    ).to_frame()
    expected = table.sort_values("p_val", kind="stable").set_index("gene")
    assert found["n_a"] + found["n_b"] == N
    assert len(found["genes"]) == min(200, len(expected))
    for one in found["genes"][:20]:
        row = expected.loc[one["gene"]]
        assert one["p"] == pytest.approx(row["p_val"])
        assert one["lfc"] == pytest.approx(row["avg_log2FC"])
        assert (one["here"], one["elsewhere"]) == (row["pct.1"], row["pct.2"])
    ps = [one["p"] for one in found["genes"]]
    assert ps == sorted(ps)
    cells = {"cells": mask(np.flatnonzero(adata.obs["leiden"] == "2"), N)}
    assert client.json("data/compare", {"a": cells, "b": {"rest": True}}) == found


@pytest.mark.parametrize(
    "sides",
    [
        {},
        {"a": {}, "b": {}},
        {"a": {"rest": True}, "b": {"rows": [0]}},
        {"a": {"rows": [0]}, "b": {"rows": [0]}},
        {"a": {"rows": [0]}, "b": {"rows": [99]}},
        {"a": {"rows": [-1]}, "b": {"rest": True}},
        {"a": {"cells": mask([1], N)}, "b": {"rest": True}},
        {"a": {"rows": []}, "b": {"rest": True}},
        {"a": {"rows": [0], "cells": mask([1], N)}, "b": {"rest": True}},
    ],
)
def test_sides_that_can_not_be_compared(shared, sides):
    status, message = PageClient(shared.address).refused("data/compare", sides)
    assert status == 422
    assert message.endswith(".")


def test_decisions_are_kept_and_go_to_exactly_those_cells(own, adata):
    first, second = PageClient(own.address), PageClient(own.address)
    first.decide(cluster="1", decision="relabelled", label="Kupffer cells", reason="<b>", by="AB")
    (seen,) = second.json("data/decisions")["decisions"]
    assert (seen["cluster"], seen["ontology_id"], seen["state"]) == ("1", "CL:0000091", "in force")
    assert "run" not in seen
    row = next(r for r in second.index()["rows"] if r["cluster"] == "1")
    assert (row["label"], row["engine_label"] is not None) == ("Kupffer cells", True)
    first.decide(cells=mask([3, 250], N), decision="relabelled", label="Plasma cell")
    first.decide(cluster="2", decision="unknown")
    first.decide(cluster="2", decision="withdrawn")
    first.decide(cluster="3", decision="needs_work")
    states = [d["state"] for d in second.json("data/decisions")["decisions"]]
    assert states == ["in force", "in force", "withdrawn", "in force", "in force"]
    target = adata.copy()
    cellferry.apply_decisions(target, own)
    wanted = adata.obs["cell_type"].astype(object).copy()
    wanted[(adata.obs["leiden"] == "1").to_numpy()] = "Kupffer cells"
    wanted.iloc[[3, 250]] = "Plasma cell"
    assert target.obs["cell_type"].astype(object).tolist() == wanted.tolist()
    # Again and again, and with what came meanwhile; the file itself can be given too.
    first.decide(cluster="1", decision="accepted")
    cellferry.apply_decisions(target, own.folder)
    cellferry.apply_decisions(target, own.folder / "decisions.jsonl", key="cell_type")
    assert (target.obs["cell_type"] == "Kupffer cells").sum() == 0
    # The same object has the same page, also when it has the decisions.
    again = cellferry.review(target, open_browser=False, progress=False)
    assert again.address == own.address


def test_decisions_of_the_object_are_on_its_page(own, adata):
    target = adata.copy()
    cellferry.set_labels(target, {"0": "Plasma cell"})
    page = cellferry.review(target, open_browser=False, progress=False)
    assert page.address == own.address
    assert PageClient(own.address).json("data/decisions")["decisions"][0]["label"] == "Plasma cell"


def test_what_was_decided_outlives_the_process(own, adata):
    PageClient(own.address).decide(cluster="1", decision="relabelled", label="Kupffer cell")
    os.kill(own.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while own.alive and time.monotonic() < end:
        time.sleep(0.02)
    assert not own.alive
    target = adata.copy()
    cellferry.apply_decisions(target, own)
    inside = (adata.obs["leiden"] == "1").to_numpy()
    assert set(target.obs["cell_type"][inside]) == {"Kupffer cell"}
    page = cellferry.review(adata, open_browser=False, progress=False)
    assert page.address != own.address
    assert page.folder == own.folder
    assert len(PageClient(page.address).json("data/decisions")["decisions"]) == 1


def test_the_process_has_a_session_of_its_own_and_no_secrets(adata, own_home, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("R_HOME", "/usr/lib/R")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/lib/R/lib")
    page = cellferry.review(adata, open_browser=False, progress=False)
    try:
        process = psutil.Process(page.pid)
        assert not {"OPENAI_API_KEY", "LD_LIBRARY_PATH"} & set(process.environ())
        assert os.getsid(page.pid) == os.getpgid(page.pid) == page.pid
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert page.alive
        assert all(c.laddr.ip == "127.0.0.1" for c in process.net_connections() if c.laddr)
        folder = ReviewFolder(page.folder)
        assert page.folder.stat().st_mode & 0o077 == 0
        assert folder.address.stat().st_mode & 0o077 == 0
    finally:
        page.stop()
    assert not folder.address.exists()


SCRIPT = """
import sys, time, anndata, cellferry
page = cellferry.review(anndata.read_h5ad(sys.argv[1]), open_browser=False, progress=False)
print(page.pid, page.address, flush=True)
time.sleep(600)
"""


def runs(pid: int) -> bool:
    """Whether a process does anything still: where nobody collects orphans, an ended one stays."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_process_ends_when_nobody_asks_for_long(own):
    own.stop()
    child = subprocess.Popen(
        [sys.executable, "-m", "cellferry.server.review", str(own.folder), "--idle-hours", "0.001"],
        stdout=subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    address = json.loads(child.stdout.readline())["address"]
    child.stdout.close()
    begun = time.monotonic()
    # Asking keeps it.
    while time.monotonic() - begun < 5:
        assert PageClient(address).json("health")["status"] == "ok"
        time.sleep(0.5)
    assert child.wait(20) == 0
    assert not ReviewFolder(own.folder).address.exists()


@pytest.mark.slow
def test_the_process_ends_when_its_parent_is_gone(adata, own_home, tmp_path):
    del adata.obsm["protein"]  # a slash in the name of a feature: AnnData 0.13 cannot write it
    adata.write_h5ad(tmp_path / "a.h5ad")
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "a.h5ad")],
        stdout=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    pid, address = parent.stdout.readline().split()
    assert PageClient(address).json("health")["status"] == "ok"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 15
    while runs(int(pid)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not runs(int(pid))
    assert not list(Path(own_home).glob("reviews/*/address.json"))


def test_an_address_that_another_program_has_now_is_no_page(own, adata):
    folder = ReviewFolder(own.folder)
    stored = json.loads(folder.address.read_text())
    own.stop()
    # Its number and its port were given again.
    with socket.create_server(("127.0.0.1", 0)) as other:
        stored |= {
            "pid": os.getpid(), "started": psutil.Process().create_time(),
            "address": f"http://127.0.0.1:{other.getsockname()[1]}/token/",
        }  # fmt: skip
        folder.address.write_text(json.dumps(stored))
        other.close()
        assert not own.alive
    page = cellferry.review(adata, open_browser=False, progress=False)
    assert PageClient(page.address).json("health")["pid"] == page.pid


def test_lists_of_genes_are_kept(own):
    client = PageClient(own.address)
    lists = [{"name": "T cells", "genes": ["CD3D", "<b>CD3E</b>"]}]
    assert client.json("data/lists", {"lists": lists}) == {"lists": lists}
    assert client.index()["lists"] == lists
    assert client.index()["live"]["lists"] == "data/lists"
    for wrong in ({"lists": [{"name": 1}]}, {"lists": "x"}, {"lists": [lists[0]] * 201}, {}):
        status, _, body = client.ask("data/lists", wrong)
        assert status == 422, body
    assert client.index()["lists"] == lists
    ReviewFolder(own.folder).lists.write_text("{", encoding="utf-8")
    assert client.index()["lists"] == []


def test_done_is_said_once_somebody_waits(own):
    client = PageClient(own.address)
    assert client.json("health")["done"] is False
    assert client.json("data/done", {}) == {"done": True}
    assert client.json("health")["done"] is True
    ReviewFolder(own.folder).waiting.write_text("{}")
    assert client.index()["live"]["done"] is True


def test_behind_a_proxy_that_adds_a_path_everything_works(own):
    with Proxy(own.address) as proxy:
        client = PageClient(proxy.address)
        index = client.index()
        assert not any(index["live"][name].startswith("/") for name in ("base", "decisions"))
        assert len(client.block("clusters")) == 2 * N
        status, headers, _ = client.ask(client._parts.path.rstrip("/"))
        assert (status, headers["location"]) == (307, client._parts.path.split("/")[-2] + "/")
        sent = {"decisions": [{"cluster": "0", "decision": "accepted"}]}
        status, _, body = client.ask("data/decisions", sent, Origin=proxy.origin)
        assert status == 200, body


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_frame_of_another_origin_the_page_opens_and_asks_for_its_data(shared):
    from playwright.sync_api import sync_playwright

    with Proxy(shared.address) as proxy, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        trouble = []
        tab.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        tab.goto(f"{proxy.origin}/")
        frame = tab.frames[1]
        frame.wait_for_selector("h1")
        # What the page's script does is tested where it is written; it may ask for its blocks.
        size = frame.evaluate(
            "fetch('data/clusters').then(a => a.arrayBuffer()).then(b => b.byteLength)"
        )
        assert size == 2 * N
        # Directly, from an origin of this machine that is not its own.
        tab.evaluate(f"document.querySelector('iframe').src = '{shared.address}'")
        tab.wait_for_timeout(500)
        tab.frames[1].wait_for_selector("h1")
        assert trouble == []
        browser.close()


def test_of_large_sides_some_cells_are_ranked_and_the_note_says_it(shared, monkeypatch):
    from cellferry.server import comparing
    from cellferry.server.review import compare as module
    from cellferry.server.review.page import ReviewPage

    monkeypatch.setattr(comparing, "MOST_RANKED", 20)
    page = ReviewPage(ReviewFolder(shared.folder))
    asked = comparing.Comparison.model_validate({"a": {"rows": [2]}, "b": {"rest": True}})
    found = module.compare(page, asked)
    monkeypatch.undo()
    whole = module.compare(page, asked)
    n = found["n_a"]
    assert found["note"].startswith(f"Wilcoxon rank sum test of 20 of {n} and 20 of {N - n} cells")
    assert found["note"].endswith("fold changes and shares are of all.")
    exact = {one["gene"]: one for one in whole["genes"]}
    assert max(one["p"] for one in found["genes"][:5]) > max(one["p"] for one in whole["genes"][:5])
    for one in found["genes"][:10]:
        assert {k: one[k] for k in ("lfc", "here", "elsewhere")} == {
            k: exact[one["gene"]][k] for k in ("lfc", "here", "elsewhere")
        }
