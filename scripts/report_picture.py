"""Pictures of the page of real cells: 1,000 immune cells of human kidneys, Chromium.

    python scripts/report_picture.py [FILE.png] [--width 1440] [--dark] [--whole]

Without a file they are those of README and vignette. The options are to look at what a reader may
see. The cells are those that come with the Python package ktplotspy (Stewart and others 2019).
"""

import argparse
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "man" / "figures"
sys.path.insert(0, str(ROOT))
OWN: dict[str, dict[str, Any]] = {
    "report.png": {"width": 1440, "height": 1020},
    "report-card.png": {"width": 1440, "height": 1100, "card": True},
    "report-phone.png": {"width": 390, "height": 844, "dark": True, "map_only": True},
}
"""Name of a picture -> what is seen on it."""


def labelled() -> Any:
    import scanpy
    from benchmarks.accuracy.datasets import kidney_immune
    from sklearn.cluster import KMeans

    import cellferry

    adata = kidney_immune()
    found = KMeans(14, n_init=10, random_state=0).fit_predict(adata.obsm["X_pca"][:, :20])
    adata.obs["cluster"] = found.astype(str)
    # That of the package was made with all cells of the study, most of which are not there.
    scanpy.pp.neighbors(adata, n_pcs=20, random_state=0)
    scanpy.tl.umap(adata, min_dist=0.4, random_state=0)
    cellferry.annotate_clusters(adata, group_key="cluster", tissue="kidney", progress=False)
    return adata


def take(
    browser: Any,
    file: Path,
    picture: Path,
    *,
    width: int,
    height: int = 1000,
    dark: bool = False,
    card: bool = False,
    map_only: bool = False,
    whole: bool = False,
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        device_scale_factor=2 if width < 600 else 1,
    )
    page.goto(file.as_uri())
    drawn = "() => performance.getEntriesByName('cellferry:drawn').length > 0"
    page.wait_for_function(drawn)
    if card:
        page.locator("#cluster-table tbody tr").first.click()
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)
        page.locator("#card").scroll_into_view_if_needed()
    elif not map_only:
        page.locator("#workspace").evaluate("(e) => window.scrollTo(0, e.offsetTop - 20)")
    else:
        page.locator("#map").evaluate("(e) => window.scrollTo(0, e.offsetTop - 10)")
    page.wait_for_timeout(500)
    page.screenshot(path=picture, full_page=whole)
    page.close()


def make(wanted: dict[Path, dict[str, Any]]) -> None:
    """Write the page once and take the pictures of it."""
    from playwright.sync_api import sync_playwright

    import cellferry

    chromium = shutil.which("chromium")
    if chromium is None:
        message = "Chromium is not installed"
        raise SystemExit(message)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        columns = ["Project", "Experiment", "percent_mito", "n_counts"]
        file = cellferry.annotation_report(
            labelled(), Path(folder) / "report.html", obs_columns=columns, progress=False
        )
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture, seen in wanted.items():
            take(browser, file, picture, **seen)
            print(f"wrote {picture}")
        browser.close()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", nargs="?", type=Path)
    options.add_argument("--width", type=int, default=1440)
    options.add_argument("--dark", action="store_true")
    options.add_argument("--whole", action="store_true")
    given = options.parse_args()
    wanted = {FIGURES / name: seen for name, seen in OWN.items()}
    if given.picture is not None:
        seen = {"width": given.width, "dark": given.dark, "whole": given.whole}
        wanted = {given.picture: seen}
    make(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
