"""The site of `make docs`: complete, its links lead somewhere, and it asks nobody for anything."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cellferry import errors
from paths import ROOT

WIDTHS = (390, 820, 1440)


@pytest.fixture(scope="module")
def docs():
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_code_has_its_cause_and_what_to_do(docs):
    codes = {one.code for one in docs.classes()} | {"backend_missing"}
    assert set(docs.said_of_codes()) == codes
    for cause, cure in docs.said_of_codes().values():
        assert cause.endswith(".")
        assert cure.endswith(".")


def test_a_condition_leads_to_its_page():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for one in (errors.MarkersMismatchError("x"), errors.TissueWarning("x")):
        file, _, heading = one.page.partition("/blob/main/")[2].partition("#")
        assert (ROOT / file).read_text(encoding="utf-8") == text
        assert f"\n## {heading}\n" in text


def test_every_code_shows_a_message_or_its_kinds(docs):
    without = [one for one in docs.classes() if not one.__subclasses__()]
    assert [one.__name__ for one in without if not docs.messages_of(one)] == []


def test_a_message_of_the_code_is_read_with_its_gaps(docs):
    import ast

    (node,) = ast.parse("f'There is no {name}.'").body
    assert docs.template(node.value) == "There is no ‹name›."
    (call,) = ast.parse("f(x)").body
    with pytest.raises(ValueError, match=r"^$"):
        docs.template(call.value)


PAGES = sorted(p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md"))


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_python_of_the_pages_runs(page, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    if not blocks:
        pytest.skip("no Python on this page")
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(blocks)],
        capture_output=True, text=True, cwd=tmp_path, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site with vignettes as they are written; a link that leads nowhere fails its making."""
    for tool in ("Rscript", "pandoc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", "--look", "--to", folder],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


def pages_of(site):
    made_by_sphinx = {"genindex.html", "py-modindex.html", "search.html"}
    return sorted(p for p in site.rglob("*.html") if p.name not in made_by_sphinx)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.r
def test_every_page_asks_nobody_and_fits_three_widths(site, browser):
    page = browser.new_page()
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    wide = []
    for path in pages_of(site):
        page.goto(path.as_uri())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                wide.append(f"{path.relative_to(site)} at {width}: {over} px too wide")
    page.close()
    assert {url for url in asked if not url.startswith(site.as_uri())} == set()
    assert faults == []
    assert wide == []
    assert len(pages_of(site)) > 120


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.r
def test_the_search_finds_without_a_server_and_the_dark_page_is_dark(site, browser):
    page = browser.new_page(color_scheme="dark")
    page.goto(f"{(site / 'search.html').as_uri()}?q=markers_mismatch")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")
    assert any(link.split("?")[0].endswith("errors/markers_mismatch.html") for link in found)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60
    page.close()


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.r
def test_every_verb_of_both_languages_and_of_the_command_line_is_there(site):
    import cellferry
    from cellferry.cli import group
    from cellferry.cli.options import leaves

    exports = re.findall(r"^export\((\w+)\)", (ROOT / "NAMESPACE").read_text("utf-8"), re.MULTILINE)
    help_of = "".join(p.read_text("utf-8") for p in (site / "reference" / "r").glob("*.html"))
    assert [name for name in exports if f"{name}" not in help_of] == []
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    modules = {"__version__", "engines", "errors", "plots", "runs", "seurat"}
    wanted = set(cellferry.__all__) - modules
    assert [name for name in wanted if f'id="cellferry.{name}"' not in python] == []
    command_line = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert [name for name, _ in leaves(group) if f"cellferry {name}<" not in command_line] == []


def test_links_of_the_written_pages_lead_somewhere():
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in link:
                assert (path.parent / Path(link)).exists(), f"{path.name}: {link}"
