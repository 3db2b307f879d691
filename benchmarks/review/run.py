"""Seconds and memory of the page at a million cells, in a file and live, in headless Chromium.

    python -m benchmarks.review.run [--cells 1000000 --genes 20000 --clusters 80]

Two cores, no GPU: what RStudio Server, a notebook server and CI have. Prints a table; a goal that
is missed is printed as missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import cellferry

from .objects import labelled

MIB = 1024**2
GOALS = {
    "file MB": 15.0,
    "first picture s (file)": 4.0,
    "first picture s (live)": 2.0,
    "frame ms p95 (file)": 50.0,
    "frame ms p95 (live)": 50.0,
    "recolour ms (file)": 300.0,
    "recolour ms (live)": 300.0,
    "gene ms p50": 200.0,
    "gene ms p99": 800.0,
    "filter ms": 400.0,
    "child MiB": 600.0,
}


def measured_page(browser, address: str) -> dict[str, float]:
    """Open the page, wait for the picture, zoom and pan, colour and filter."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    begun = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(
        "() => performance.getEntriesByName('cellferry:drawn').length > 0", timeout=120_000
    )
    found = {"first": time.perf_counter() - begun}
    canvas = page.locator("#map canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for i in range(60):
        page.mouse.wheel(0, -60 if i % 20 < 12 else 60)
        page.wait_for_timeout(20)
    page.mouse.down()
    for i in range(60):
        page.mouse.move(box["x"] + 200 + 5 * i, box["y"] + 200 + 3 * i)
    page.mouse.up()
    page.wait_for_timeout(500)
    found["frame"] = float(np.percentile(durations(page, "frame"), 95))
    page.evaluate("() => performance.clearMeasures('cellferry:recolour')")
    select = page.locator("#map select").first
    values = [o.get_attribute("value") for o in select.locator("option").all()]
    for value in values[:6]:
        select.select_option(value)
        page.wait_for_timeout(1500)
    found["recolour"] = float(np.max(durations(page, "recolour")))
    return found | {"page": page}


def durations(page, name: str) -> list[float]:
    entries = f"() => performance.getEntriesByName('cellferry:{name}').map((e) => e.duration)"
    return page.evaluate(entries) or [float("nan")]


def measured_genes(address: str, genes: list[int]) -> list[float]:
    """Ask for genes one after another, as the page does."""
    import httpx

    found = []
    with httpx.Client(base_url=address, timeout=60) as client:
        for gene in genes:
            begun = time.perf_counter()
            client.get(f"data/gene/{gene}").raise_for_status()
            found.append(1000 * (time.perf_counter() - begun))
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cells", type=int, default=1_000_000)
    options.add_argument("--genes", type=int, default=20_000)
    options.add_argument("--clusters", type=int, default=80)
    given = options.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CELLFERRY_CHROMIUM") or shutil.which("chromium")
    adata = labelled(given.cells, given.genes, given.clusters)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["CELLFERRY_HOME"] = folder
        begun = time.perf_counter()
        file = cellferry.annotation_report(
            adata, Path(folder) / "page.html", obs_columns=["sample", "percent.mt"], progress=False
        )
        found["write s (file)"] = time.perf_counter() - begun
        found["file MB"] = file.stat().st_size / 1e6
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        of_file = measured_page(browser, file.as_uri())
        of_file.pop("page").close()
        begun = time.perf_counter()
        review = cellferry.review(adata, open_browser=False, progress=False)
        found["build s (live)"] = time.perf_counter() - begun
        del adata
        of_live = measured_page(browser, review.address)
        page = of_live.pop("page")
        page.locator("#filters").get_by_role("combobox").first.select_option(label="sample")
        for box in page.locator("#filters").get_by_role("checkbox").all()[:4]:
            box.uncheck()
            page.wait_for_timeout(700)
        filters = durations(page, "filter")
        page.close()
        for name, pages in (("file", of_file), ("live", of_live)):
            found[f"first picture s ({name})"] = pages["first"]
            found[f"frame ms p95 ({name})"] = pages["frame"]
            found[f"recolour ms ({name})"] = pages["recolour"]
        drawn = np.random.default_rng(0).integers(0, given.genes, 300).tolist()
        times = measured_genes(review.address, drawn)
        found["gene ms p50"], found["gene ms p99"] = np.percentile(times, [50, 99])
        found["filter ms"] = float(np.max(filters))
        found["child MiB"] = psutil.Process(review.pid).memory_info().rss / MIB
        browser.close()
        review.stop()
    print(f"{given.cells:,} cells x {given.genes:,} genes, {given.clusters} clusters")
    for name, value in found.items():
        goal = GOALS.get(name)
        said = "" if goal is None else f"goal {goal:g}: {'met' if value <= goal else 'MISSED'}"
        print(f"{name:26s} {value:10.2f}  {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
