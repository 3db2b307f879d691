"""Sum the results of pytest (JUnit XML) and testthat (CSV) into the one closing line."""

import csv
import sys
from pathlib import Path
from xml.etree import ElementTree

Counts = tuple[int, int, int]


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
    failed = sum(int(row["failed"]) > 0 or row["error"] == "TRUE" for row in rows)
    skipped = sum(
        row["skipped"] == "TRUE" and int(row["failed"]) == 0 and row["error"] != "TRUE"
        for row in rows
    )
    return len(rows) - failed - skipped, failed, skipped


def main() -> int:
    folder = Path(sys.argv[1])
    suites = {"pytest": of_pytest(folder), "testthat": of_testthat(folder)}
    for name, (passed, failed, skipped) in suites.items():
        exit_code = int((folder / f"{name}.exit").read_text())
        if exit_code and not failed:
            # The suite died without a failed test: that is a failure of its own.
            suites[name] = (passed, 1, skipped)
        print(f"{name}: {passed} ok, {suites[name][1]} not ok, {skipped} left out")
    passed, failed, skipped = (sum(counts) for counts in zip(*suites.values(), strict=True))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
