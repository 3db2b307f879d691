"""Sum the results of pytest (JUnit XML) and testthat (CSV) of all lanes into one closing line."""

import csv
import sys
from pathlib import Path
from xml.etree import ElementTree

Counts = tuple[int, int, int]

SHOWN = 8
"""Tests of a lane that are named."""
LENGTH = 300
LANES = {"here": "this machine", "seurat5": "Debian 13"}


def of_pytest(folder: Path) -> Counts:
    report = folder / "pytest.xml"
    if not report.exists():
        return 0, 1, 0
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return total - failed - skipped, failed, skipped


def of_testthat(folder: Path) -> Counts:
    report = folder / "testthat.csv"
    if not report.exists():
        return 0, 1, 0
    with report.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    failed = sum(map(is_broken, rows))
    skipped = sum(row["skipped"] == "TRUE" and not is_broken(row) for row in rows)
    return len(rows) - failed - skipped, failed, skipped


def is_broken(row: dict[str, str]) -> bool:
    """Whether a row of testthat is of a test that is not ok."""
    return int(row["failed"]) > 0 or row["error"] == "TRUE"


def broken(folder: Path) -> list[str]:
    """Return the tests that are not ok, each with what was said of it first."""
    found = []
    if (report := folder / "pytest.xml").exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            for result in (*case.findall("failure"), *case.findall("error")):
                found.append(
                    f"{case.get('classname')}::{case.get('name')}: {result.get('message')}"
                )
    if (report := folder / "testthat.csv").exists():
        with report.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if is_broken(row):
                    found.append(f"{row['file']}: {row['test']}: {row.get('result')}")
    return [" ".join(text.split())[:LENGTH] for text in found]


def of_lane(folder: Path) -> Counts:
    """Count one lane and print its versions and its suites; a lane left out is one skip."""
    name = LANES.get(folder.name, folder.name)
    left_out = folder / "skipped"
    if left_out.exists():
        print(f"{name}: left out, {left_out.read_text().strip()}")
        return 0, 0, 1
    versions = folder / "versions"
    lines = versions.read_text().splitlines() if versions.exists() else ["versions unknown"]
    print(f"{name}: {', '.join(line.strip() for line in lines)}")
    suites = {"pytest": of_pytest(folder), "testthat": of_testthat(folder)}
    for suite, (passed, failed, skipped) in suites.items():
        code = folder / f"{suite}.exit"
        if not failed and (not code.exists() or int(code.read_text())):
            # The suite died without a failed test: that is a failure of its own.
            suites[suite] = (passed, 1, skipped)
        print(f"  {suite}: {passed} ok, {suites[suite][1]} not ok, {skipped} left out")
    not_ok = broken(folder)
    for text in not_ok[:SHOWN]:
        print(f"  not ok: {text}")
    if len(not_ok) > SHOWN:
        print(f"  and {len(not_ok) - SHOWN} more that are not ok")
    passed, failed, skipped = (sum(counts) for counts in zip(*suites.values(), strict=True))
    return passed, failed, skipped


def main() -> int:
    lanes = [of_lane(Path(folder)) for folder in sys.argv[1:]]
    passed, failed, skipped = (sum(counts) for counts in zip(*lanes, strict=True))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
