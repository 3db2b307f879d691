"""Make the README's picture of the report: real cells, the embedded engine, headless Chromium."""

import shutil
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).resolve().parent.parent / "man" / "figures" / "report.png"


def main() -> int:
    import scanpy
    from playwright.sync_api import sync_playwright

    import cellferry

    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed")
        return 1
    adata = scanpy.datasets.pbmc68k_reduced()
    scanpy.tl.rank_genes_groups(adata, "louvain", method="t-test", pts=True)
    cellferry.annotate_clusters(adata, group_key="louvain", tissue="blood", progress=False)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = cellferry.annotation_report(adata, Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 1000})
        page.goto(file.as_uri())
        page.get_by_role("columnheader", name="Confidence").get_by_role("button").click()
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"wrote {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
