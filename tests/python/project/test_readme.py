"""The examples of the README run, and print what the README says they print."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from command import MARKERS
from paths import ROOT

pytestmark = pytest.mark.process


def example(language):
    """Return the first example of a language and the output that stands under it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    return found[1], found[2]


def plain(text):
    return [line.rstrip() for line in text.strip().splitlines()]


def run(command, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_prints_what_the_readme_says(tmp_path):
    code, expected = example("python")
    assert plain(run([sys.executable, "-W", "ignore", "-c", code], tmp_path)) == plain(expected)


def test_the_lines_for_pipelines_run_as_they_stand(tmp_path):
    lines = re.search(r"```bash\n(gzip .*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "markers.csv").write_text(MARKERS, encoding="utf-8")
    out = run(["bash", "-euo", "pipefail", "-c", lines[1]], tmp_path)
    assert out == "['B cell', 'T cell', 'Monocyte']\n"
    assert (tmp_path / "annotations.csv").read_bytes() == (
        tmp_path / "pbmc_annotations.csv"
    ).read_bytes()
    assert (tmp_path / "pbmc.html").read_bytes() == (tmp_path / "pbmc_report.html").read_bytes()
    assert (tmp_path / "pbmc.log").read_text(encoding="utf-8").endswith("exit code 0\n")


def has_r_package():
    if shutil.which("Rscript") is None:
        return False
    probe = "quit(status = !nzchar(system.file(package = 'cellferry')))"
    return subprocess.run(["Rscript", "-e", probe], check=False).returncode == 0


@pytest.mark.skipif(not has_r_package(), reason="the R package is not installed")
def test_the_r_example_prints_what_the_readme_says(tmp_path):
    code, expected = example("r")
    (tmp_path / "example.R").write_text(code, encoding="utf-8")
    assert plain(run(["Rscript", "example.R"], tmp_path)) == plain(expected)


def test_the_commands_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"make ([\w-]+)", readme):
        assert f"\n{target}:" in makefile, target
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert (ROOT / picture).is_file(), picture


def test_every_picture_is_made_by_make_readme_but_the_measured_ones():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    scripts = (ROOT / "scripts" / name for name in ("readme.py", "report_picture.py"))
    script = "".join(path.read_text(encoding="utf-8") for path in scripts)
    pictures = re.findall(r"!\[[^]]*\]\(man/figures/([^)]+)\)", readme)
    measured = [name for name in pictures if f'"{name}": ' not in script]
    assert measured == ["markers.svg", "artifacts.svg"]


def test_the_vignettes_that_the_readme_links_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\((vignettes/[^)#]+)\)", readme))
    assert linked == {f"vignettes/{p.name}" for p in (ROOT / "vignettes").glob("*.Rmd")}


def test_the_picture_has_the_labels_and_numbers_of_the_example():
    from PIL import Image

    printed = example("r")[1].split("$", 1)[0].splitlines()
    rows = [re.fullmatch(r"\s*([^\s\d]\D*?)\s+([\d ]+)", line) for line in printed]
    counts = {row[1]: sum(map(int, row[2].split())) for row in rows if row}
    with Image.open(ROOT / "man" / "figures" / "pbmc_small.png") as picture:
        drawn = dict(one.split(": ") for one in picture.text["Labels"].split("; "))
    assert drawn == {label: str(n) for label, n in counts.items()}, "run `make readme`"
