"""Write inst/backend-requirements.txt, what InstallBackend() installs, from pyproject.toml."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "inst" / "backend-requirements.txt"


def requirements() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return "".join(f"{line}\n" for line in project["dependencies"])


if __name__ == "__main__":
    TARGET.write_text(requirements(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
