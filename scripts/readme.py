"""Run the examples of the README, write their output under them, and make its picture."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "man" / "figures" / "pbmc_small.png"


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
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CELLFERRY_HOME": folder}
        subprocess.run(
            ["Rscript", ROOT / "scripts" / "demo.R", folder],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(folder) / "pbmc_small_tsne.png", PICTURE)
    print(f"wrote {README} and {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
