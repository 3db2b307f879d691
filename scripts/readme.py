"""Run the examples of the README, write their output under them, and make its pictures.

Of the pictures only the one of `make bench-artifacts` is not made here: it is a measurement.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import report_picture

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def example(language: str) -> re.Pattern[str]:
    return re.compile(rf"(```{language}\n)(.*?)(```\n\n```text\n)(.*?)(```)", re.DOTALL)


def output_of(language: str, code: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / f"example.{language}"
        script.write_text(code, encoding="utf-8")
        command = (
            ["Rscript", script] if language == "r" else [sys.executable, "-W", "ignore", script]
        )
        environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
        environment["CELLFERRY_HOME"] = folder
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return "\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines()) + "\n"


def plot_of_r(picture: Path) -> None:
    """Make the plot of the demo in R."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CELLFERRY_HOME": folder}
        subprocess.run(
            ["Rscript", ROOT / "scripts" / "demo.R", folder],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        with_labels(Path(folder), picture)


def with_labels(folder: Path, picture: Path) -> None:
    """Copy the picture with the labels that are on it, which a test compares with the README."""
    import pandas as pd
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    counts = pd.read_csv(folder / "pbmc_small_cells.csv")["cell_type"].value_counts()
    said = PngInfo()
    said.add_text("Labels", "; ".join(f"{label}: {n}" for label, n in counts.items()))
    with Image.open(folder / "pbmc_small_tsne.png") as drawn:
        drawn.save(picture, pnginfo=said, optimize=True)


def report_of_python(picture: Path) -> None:
    """Make a picture of the page of real cells."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CELLFERRY_HOME"] = folder
        report_picture.make({picture: report_picture.OWN[picture.name]})


PICTURES: dict[str, Callable[[Path], None]] = {
    "pbmc_small.png": plot_of_r,
    **dict.fromkeys(report_picture.OWN, report_of_python),
}
"""Name in man/figures -> what makes it."""


def main() -> int:
    text = README.read_text(encoding="utf-8")
    for language in ("python", "r"):
        pattern = example(language)
        found = pattern.search(text)
        if found is None:
            print(f"README.md has no {language} example with its output")
            return 1
        written = found[1] + found[2] + found[3] + output_of(language, found[2]) + found[5]
        text = text[: found.start()] + written + text[found.end() :]
    README.write_text(text, encoding="utf-8")
    print(f"wrote {README}")
    for name, make in PICTURES.items():
        picture = ROOT / "man" / "figures" / name
        make(picture)
        print(f"wrote {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
