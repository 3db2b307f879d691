"""Write THIRD_PARTY.md: every package and data set that comes with cellferry, and its licence.

Packages are those of the lock files (scripts/lock); licences are what the installed packages say
of themselves. Run it with `python scripts/licences.py` where .[dev] is installed.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "THIRD_PARTY.md"
EXTRAS = ("", "artifacts", "server", "llm", "demo", "distributed", "remote", "r", "docs", "dev")
# These say nothing in their metadata, or are needed on another Python than this file is made on.
SAID_ELSEWHERE = {
    "fast-array-utils": "MPL-2.0",
    "hdf5plugin": "MIT, with filters under BSD, zlib and other permissive licences",
    "mistralai": "Apache-2.0",
    "msgspec": "BSD-3-Clause",
    "ptyprocess": "ISC",
    "pydantic-settings": "MIT",
    "python-dotenv": "BSD-3-Clause",
    "scverse-misc": "BSD-3-Clause",
    "tiktoken": "MIT",
}
HEAD = """\
# What comes with cellferry from others

cellferry is MIT. Nothing of these packages is copied into it; pip and R install them. Made by
`scripts/licences.py`; a test compares the names with the lock files in `requirements/`.

"rpy2" and "anndata2ri", of the extra `r`, are under the GPL: who gives away a program that
contains them gives it away under the GPL. Nothing else of cellferry needs them.
"""


def normal(name: str) -> str:
    """Return the name of a package as registries write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> set[str]:
    """Return the names of all packages of the lock files."""
    lines = [line for path in sorted((ROOT / "requirements").glob("*.txt"))
             for line in path.read_text(encoding="utf-8").splitlines()]  # fmt: skip
    return {normal(line.partition("==")[0]) for line in lines if "==" in line}


def own() -> list[str]:
    """Return the requirements of the project as they are written now."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    of_extras = [f'{line}; extra == "{extra}"' for extra, lines in extras for line in lines]
    return [*project["dependencies"], *of_extras]


def needed_by(extra: str) -> set[str]:
    """Return the names of what an extra installs, the core too."""
    found, waiting = set(), [("cellferry", frozenset({extra}))]
    done = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            requires = own() if name == "cellferry" else metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requires):
            marks = [{"extra": one} for one in (*extras, "")]
            if requirement.marker and not any(map(requirement.marker.evaluate, marks)):
                continue
            found.add(normal(requirement.name))
            waiting.append((normal(requirement.name), frozenset(requirement.extras)))
    return found


TEXTS = {
    "Apache License, Version 2.0": "Apache-2.0",
    "Permission is hereby granted, free of charge": "MIT",
}
"""What the text of a licence has, for packages whose metadata name none."""


def licence(name: str) -> str:
    """Return what a package says of its licence, in a few words."""
    if name in SAID_ELSEWHERE:
        return SAID_ELSEWHERE[name]
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    classifiers = [c.rpartition(" :: ")[2] for c in said.get_all("Classifier") or []
                   if c.startswith("License ::") and not c.endswith("OSI Approved")]  # fmt: skip
    text = (said["License"] or "").strip()
    short = text if text and "\n" not in text and len(text) < 60 else ""
    stated = said["License-Expression"] or short or ", ".join(classifiers)
    return stated or in_its_file(name)


def in_its_file(name: str) -> str:
    """Return the licence whose text a package brings; empty for another or none."""
    for file in metadata.files(name) or []:
        if file.name.upper().startswith("LICEN"):
            text = file.read_text("utf-8")
            for begin, spdx in TEXTS.items():
                if begin in text:
                    return spdx
    return ""


def earlier() -> dict[str, str]:
    """Return package -> licence of the file that is there, for what is not installed here."""
    if not TARGET.exists():
        return {}
    rows = [line.strip("| ").split(" | ") for line in TARGET.read_text("utf-8").splitlines()]
    return {row[0]: row[-1] for row in rows if len(row) == 3}


def python_rows() -> list[str]:
    """Return a row per Python package: name, the first extra that needs it, licence."""
    of_extra = {extra: needed_by(extra) for extra in EXTRAS}
    before = earlier()
    rows = []
    for name in sorted(locked()):
        extra = next((e for e in EXTRAS if name in of_extra[e]), "dev")
        said = licence(name) or before.get(name) or "not stated; see its project"
        rows.append(f"| {name} | {extra or 'core'} | {said} |")
    return rows


def r_packages(field: str) -> list[str]:
    """Return the packages of a field of DESCRIPTION."""
    fields = (ROOT / "DESCRIPTION").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:((?:.*\n)(?:[ \t].*\n)*)", fields, re.MULTILINE)
    names = [part.strip().partition("(")[0].strip() for part in found[1].split(",")]
    return [name for name in names if name]


def r_rows() -> list[str]:
    """Return a row per R package of DESCRIPTION: name, field, licence."""
    rows = []
    for field in ("Imports", "Suggests"):
        names = r_packages(field)
        code = (
            "for (p in commandArgs(TRUE)) cat(p, '|', "
            "suppressWarnings(c(packageDescription(p, fields = 'License'), '')[[1]]), '\\n')"
        )
        said = {}
        if names and shutil.which("Rscript"):
            done = subprocess.run(["Rscript", "-e", code, *names], capture_output=True, text=True,
                                  check=False)  # fmt: skip
            said = dict(line.split(" | ", 1) for line in done.stdout.splitlines() if " | " in line)
        before = earlier()
        for name in names:
            text = said.get(name, "").strip().replace(" | ", " or ")
            text = (
                re.sub(r"^Part of R.*", "part of R", text) or before.get(name) or "see its project"
            )
            rows.append(f"| {name} | {field} | {text} |")
    return rows


def data_rows() -> list[str]:
    """Return a row per data file, from the README beside them."""
    path = ROOT / "inst" / "python" / "cellferry" / "data" / "README.md"
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 4 and cells[0].startswith("`"):
            rows.append(f"| {cells[0]} | {cells[2]} | {cells[3]} |")
    return rows


def page() -> str:
    """Return the whole file."""
    parts = [
        HEAD,
        "## Data\n\n| file | source | licence |\n|---|---|---|",
        *data_rows(),
        "\n## Python packages\n\n| package | for | licence |\n|---|---|---|",
        *python_rows(),
        "\n## R packages\n\n| package | field | licence |\n|---|---|---|",
        *r_rows(),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
