"""Pictures of the report of the README's example: real cells, the embedded engine, Chromium.

    python scripts/report_picture.py [FILE.png] [--width 1180] [--dark] [--whole]

Without a file it is the README's own. The other options are to look at what a reader may see.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).resolve().parent.parent / "man" / "figures" / "report.png"
HEIGHT = 1000


def take(picture: Path, width: int = 1180, *, dark: bool = False, whole: bool = False) -> None:
    import scanpy
    from playwright.sync_api import sync_playwright

    import cellferry

    chromium = shutil.which("chromium")
    if chromium is None:
        message = "Chromium is not installed"
        raise SystemExit(message)
    adata = scanpy.datasets.pbmc68k_reduced()
    scanpy.tl.rank_genes_groups(adata, "louvain", method="t-test", pts=True)
    cellferry.annotate_clusters(adata, group_key="louvain", tissue="blood", progress=False)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = cellferry.annotation_report(adata, Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": HEIGHT}, color_scheme="dark" if dark else "light"
        )
        page.goto(file.as_uri())
        page.get_by_role("columnheader", name="Confidence").get_by_role("button").click()
        page.screenshot(path=picture, full_page=whole)
        browser.close()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", nargs="?", type=Path, default=PICTURE)
    options.add_argument("--width", type=int, default=1180)
    options.add_argument("--dark", action="store_true")
    options.add_argument("--whole", action="store_true")
    given = options.parse_args()
    take(given.picture, given.width, dark=given.dark, whole=given.whole)
    print(f"wrote {given.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
