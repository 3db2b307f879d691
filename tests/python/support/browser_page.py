"""The page in a real browser: opened from disk, and watched for trouble."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from importlib import resources

CHROMIUM = os.environ.get("CELLFERRY_CHROMIUM") or shutil.which("chromium")


@contextmanager
def chromium():
    """Yield Chromium; where it is not installed :data:`CHROMIUM` is None."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser, file, **options):
    """Yield the page of a file; at the end nothing was asked for, and nothing complained."""
    context = browser.new_context(offline=True, accept_downloads=True, **options)
    page = context.new_page()
    trouble, requested = [], []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("request", lambda request: requested.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert trouble == []
    assert [url for url in requested if not url.startswith("blob:")] == [file.as_uri()]
    assert page.evaluate("window.hit") is None
    context.close()


def saved(page, click, target):
    """Return the text of the file that a click downloads, and its name."""
    with page.expect_download() as waiting:
        click()
    waiting.value.save_as(target)
    return target.read_bytes(), waiting.value.suggested_filename


def functions(page, modules, names, index="null"):
    """Return a handle of functions of the viewer's modules, in an empty page."""
    from cellferry.annotations.report import viewer

    folder = resources.files(viewer)
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in modules]
    made = "\n".join(parts) + f"\nreturn {{{', '.join(names)}}};"
    page.set_content(f'<script type="application/json" id="page-index">{index}</script>')
    return page.evaluate_handle("text => new Function(text)()", made)
