"""Copy version and day to every place that has them, and say whether a release can be made.

    python scripts/release.py --write    DESCRIPTION, inst/CITATION, CITATION.cff, recipe/meta.yaml
    python scripts/release.py            what is not ready, one line each; exit code 1 if anything

The one place is ``inst/python/cellferry/_version.py``. What is looked at: the places above, the
first heading of NEWS.md, the locks and the licences beside pyproject.toml, and what git has.
Nothing is tagged, built or sent.
"""

import argparse
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SAID = runpy.run_path(str(ROOT / "inst" / "python" / "cellferry" / "_version.py"))
VERSION: str = _SAID["__version__"]
DAY: str = _SAID["RELEASED"]
PLACES: dict[str, list[tuple[str, str]]] = {
    "DESCRIPTION": [
        (r"^Version: .*$", f"Version: {VERSION}"),
        (r"^Date: .*$", f"Date: {DAY}"),
    ],
    "CITATION.cff": [
        (r"^version: .*$", f"version: {VERSION}"),
        (r"^date-released: .*$", f'date-released: "{DAY}"'),
    ],
    "recipe/meta.yaml": [(r'^\{% set version = ".*" %\}$', f'{{% set version = "{VERSION}" %}}')],
}
"""File -> the lines that say version or day, and how they should be."""


def written(name: str, text: str) -> str:
    """Return a file's text with version and day of the one place."""
    for pattern, line in PLACES[name]:
        text, found = re.subn(pattern, line, text, flags=re.MULTILINE)
        if found != 1:
            message = f"{name} has {found} lines like {pattern}"
            raise SystemExit(message)
    return text


def stale() -> Iterator[str]:
    """Give the places that say another version or day."""
    for name in PLACES:
        text = (ROOT / name).read_text(encoding="utf-8")
        if written(name, text) != text:
            yield f"{name} has another version or day: python scripts/release.py --write"


def changelog() -> Iterator[str]:
    """Give what the first heading of NEWS.md lacks."""
    first = (ROOT / "NEWS.md").read_text(encoding="utf-8").split("\n", 1)[0]
    if first != f"# cellferry {VERSION}":
        yield f'NEWS.md begins with "{first}", not with "# cellferry {VERSION}"'


def locks() -> Iterator[str]:
    """Give the locks that lack a package of pyproject.toml, or have a version it refuses."""
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    wanted = [Requirement(line) for line in lines if not line.startswith("cellferry[")]
    for path in sorted((ROOT / "requirements").glob("python-*.txt")):
        rows = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        have = {canonicalize_name(name): version for name, version in rows}
        for one in wanted:
            version = have.get(canonicalize_name(one.name))
            if version is None or not one.specifier.contains(version, prereleases=True):
                yield f"{path.name} has {one.name} {version}, needed {one.specifier}: scripts/lock"


def repository() -> Iterator[str]:
    """Give what git has that a release should not have."""
    git = ["git", "-C", str(ROOT)]
    dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True,
                           check=True).stdout  # fmt: skip
    if dirty:
        yield f"{len(dirty.splitlines())} files are not committed: git status"
    tags = subprocess.run([*git, "tag", "--list", f"v{VERSION}"], capture_output=True, text=True,
                          check=True).stdout  # fmt: skip
    if tags:
        yield f"the tag v{VERSION} exists: raise the version in _version.py"


LOOKED_AT: tuple[Callable[[], Iterator[str]], ...] = (stale, changelog, locks, repository)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="copy version and day")
    if parser.parse_args().write:
        for name in PLACES:
            path = ROOT / name
            path.write_text(written(name, path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {VERSION} of {DAY} to {', '.join(PLACES)}")
        return 0
    faults = [fault for look in LOOKED_AT for fault in look()]
    for fault in faults:
        print(fault)
    if not faults:
        print(f"ready: git tag v{VERSION} && python -m build && R CMD build .")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
