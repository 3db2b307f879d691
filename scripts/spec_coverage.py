"""Print what of the specifications is not yet shown by a test (tests/spec_coverage.tsv)."""

import csv
import sys
from collections import Counter
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "tests" / "spec_coverage.tsv"


def main() -> int:
    with TABLE.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    still_open = [row for row in rows if row["test"] == "open"]
    for row in still_open:
        print(f"{row['spec']:<26}{row['kind']:<11}{row['item']}")
    print()
    total, left = (Counter(row["spec"] for row in found) for found in (rows, still_open))
    for spec, n in total.items():
        print(f"{spec}: {n - left[spec]} of {n} shown by a test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
