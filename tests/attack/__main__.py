"""`make attack`: everything that was tried against cellferry, tried again, on this machine only.

    python -m tests.attack [--scale 1] [--seed N] [--only WORD ...]

Each module below this folder that has ``rows(scale)`` yields (what, tried, survived). One line
is printed per row, and the exit code is 1 if a row is not full. ATTACK_SCALE and ATTACK_SEED
are the same as the options; at scale 1 it takes a quarter of an hour. Not part of `make test`.
"""

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for place in (ROOT / "inst" / "python", ROOT / "tests" / "python" / "support"):
    sys.path.insert(0, str(place))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(place), os.environ.get("PYTHONPATH")])
    )


def modules(words):
    """Return the names of the modules that have attacks, in order."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(HERE.rglob("*.py"))
        if "\ndef rows(" in path.read_text(encoding="utf-8")
    ]
    return [n for n in names if not words or any(word in n for word in words)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=float(os.environ.get("ATTACK_SCALE", "1")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("ATTACK_SEED", "1")))
    parser.add_argument("--only", nargs="*", default=(), help="parts of names of modules")
    options = parser.parse_args()
    os.environ["ATTACK_SEED"] = str(options.seed)
    sys.stdout.write(f"seed {options.seed}, scale {options.scale:g}\n")
    sys.stdout.write(f"{'attack':72} {'tried':>7} {'survived':>8}\n")
    begun, fallen = time.monotonic(), 0
    for name in modules(options.only):
        started = time.monotonic()
        try:
            found = importlib.import_module(name)
            for what, tried, survived in found.rows(options.scale):
                full = survived == tried and tried > 0
                fallen += not full
                end = "" if full else "  <-- not full"
                sys.stdout.write(f"{what:72} {tried:7} {survived:8}{end}\n")
                sys.stdout.flush()
        except Exception:
            fallen += 1
            sys.stdout.write(f"{name} itself broke:\n{traceback.format_exc()}\n")
        sys.stdout.write(f"  ({name}: {time.monotonic() - started:.0f} s)\n")
        sys.stdout.flush()
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s, {fallen} rows not full\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
