"""What is installed with cellferry: bounded, locked with hashes, with a licence each."""

import re
import subprocess
import sys
import tomllib

from paths import ROOT

LOCKS = sorted((ROOT / "requirements").glob("python-*.txt"))
THIRD_PARTY = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared():
    """Return the requirements of the project, its extras and its build."""
    project = PROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    found = [line for lines in lists for line in lines] + PROJECT["build-system"]["requires"]
    return [line for line in found if not line.startswith("cellferry")]


def locked(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]


def test_every_dependency_has_a_lower_and_an_upper_bound():
    assert [line for line in declared() if ">=" not in line or "<" not in line] == []


def test_every_python_that_is_tested_has_a_lock_with_hashes():
    assert [path.stem for path in LOCKS] == ["python-3.11", "python-3.13"]
    names = {normal(re.match(r"[\w.-]+", line)[0]) for line in declared()}
    for path in LOCKS:
        lines = locked(path)
        assert [line for line in lines if not re.search(r"--hash=sha256:[0-9a-f]{64}$", line)] == []
        assert names <= {normal(line.partition("==")[0]) for line in lines}


def test_a_lock_is_made_of_what_pip_reports(tmp_path):
    report = tmp_path / "report.json"
    report.write_text(
        '{"environment": {"python_version": "3.11"}, "install": ['
        '{"metadata": {"name": "B_b", "version": "2"}, "download_info": '
        '{"archive_info": {"hashes": {"sha256": "00"}}}},'
        '{"metadata": {"name": "cellferry", "version": "1"}, "download_info": {"dir_info": {}}}]}'
    )
    target = tmp_path / "python-3.11.txt"
    script = ROOT / "scripts" / "lock_file.py"
    subprocess.run([sys.executable, script, report, target], check=True, capture_output=True)
    assert locked(target) == ["b-b==2 --hash=sha256:00"]


def test_the_licence_of_everything_is_listed():
    rows = [line.strip("| ").split(" | ") for line in THIRD_PARTY.splitlines()]
    listed = {row[0]: row[-1] for row in rows if len(row) == 3}
    wanted = {normal(line.partition("==")[0]) for path in LOCKS for line in locked(path)}
    description = (ROOT / "DESCRIPTION").read_text(encoding="utf-8")
    for field in ("Imports", "Suggests"):
        block = re.search(rf"^{field}:((?:.*\n)(?:[ \t].*\n)*)", description, re.MULTILINE)[1]
        wanted |= {part.partition("(")[0].strip() for part in block.split(",")} - {""}
    data = ROOT / "inst" / "python" / "cellferry" / "data" / "README.md"
    wanted |= {*re.findall(r"^\| (`[^|]+) \|", data.read_text(encoding="utf-8"), re.MULTILINE)[:8]}
    missing = {name for name in wanted if not listed.get(name)}
    assert missing == set(), "run scripts/licences.py"
    assert {name for name in listed if "see its project" in listed[name]} == set()


def test_every_bundled_table_has_its_source_and_its_licence():
    folder = ROOT / "inst" / "python" / "cellferry" / "data"
    text = (folder / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    named = {}
    for files, what, source, licence in rows:
        assert all(len(said) > 2 for said in (what, source, licence))
        for pattern in re.findall(r"`([^`]+)`", files):
            named |= dict.fromkeys(folder.glob(pattern), (source, licence))
    there = {
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    }
    assert there - {folder / "README.md"} == named.keys()
    # The same is said beside the packages.
    for files, _what, source, licence in rows:
        assert f"| {files} | {source} | {licence} |" in THIRD_PARTY
