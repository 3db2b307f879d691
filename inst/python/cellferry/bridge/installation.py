"""What is installed, which rule chose it, and the exact line that fixes what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .._version import PROJECT_URL, __version__, pip_install
from ..runs.places import home


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``fix`` is empty when it is as it should be."""

    name: str
    found: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing needs to be done."""
        return not self.fix


def examine() -> list[Finding]:
    """Look at Python, its packages, and R, and return one finding for each.

    Examples
    --------
    >>> examine()[0].name
    'cellferry'
    """
    own = [Finding("cellferry", __version__), _python(), *_packages(), *_extras()]
    return [*own, _folder_of_runs(), *_proxy(), *_r(), _rpy2()]


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable} ({_rule()})"
    old = sys.version_info < (3, 11)
    return Finding("Python", found, "Install Python 3.11 or newer." if old else "")


def _rule() -> str:
    """Say what made this Python the one that runs."""
    if os.environ.get("RETICULATE_PYTHON") == sys.executable:
        return "chosen by RETICULATE_PYTHON"
    if sys.prefix != sys.base_prefix:
        return "the virtual environment of this command"
    return "the Python of this command"


def needed_packages() -> dict[str, str]:
    """Return package -> version range, as the installed distribution declares them.

    Inside R the core is loaded from the R package and is no distribution; the list that
    travels beside it is read then.
    """
    try:
        lines = [r for r in metadata.requires("cellferry") or [] if "extra ==" not in r]
    except metadata.PackageNotFoundError:
        beside = Path(__file__).resolve().parents[3] / "backend-requirements.txt"
        lines = beside.read_text(encoding="utf-8").split() if beside.is_file() else []
    needed = {}
    for line in lines:
        name = line.strip()
        for mark in "<>=!~; ":
            name = name.partition(mark)[0]
        needed[name] = line.strip()[len(name) :].strip()
    return needed


def installed_versions() -> dict[str, str | None]:
    """Return package -> installed version, None where it is missing."""
    found: dict[str, str | None] = {}
    for name in needed_packages():
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _packages() -> list[Finding]:
    made = []
    for name, span in needed_packages().items():
        version = installed_versions()[name]
        if version is None:
            fix = f'{sys.executable} -m pip install "{name}{span}"'
            made.append(Finding(name, "not installed", fix))
        elif not _within(version, span):
            fix = f'{sys.executable} -m pip install "{name}{span}"'
            made.append(Finding(name, f"{version}, needed {span}", fix))
        else:
            made.append(Finding(name, version))
    return made


EXTRAS = {
    "artifacts": ("duckdb", "hdf5plugin"),
    "server": ("duckdb", "hdf5plugin", "pydantic", "starlette", "uvicorn"),
    "llm": ("pydantic-ai-slim",),
    "plots": ("matplotlib",),
    "zarr": ("zarr",),
    "remote": ("aiohttp", "fsspec", "zarr"),
}
"""Extra -> the packages by which it is known to be there."""


def _extras() -> Iterator[Finding]:
    """Look at what only a part of cellferry needs: missing is no fault, and has its line."""
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if not _is_installed(name)]
        line = f"not installed: {', '.join(missing)} (if you want it: {pip_install(extra)})"
        yield Finding(f"extra {extra}", line if missing else "installed")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _folder_of_runs() -> Finding:
    """Look whether runs can be kept: the nearest folder that exists must be ours to write."""
    folder = home()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    mends = "" if os.access(there, os.W_OK) else "export CELLFERRY_HOME=$HOME/cellferry"
    said = f"{folder}, where you may not write" if mends else str(folder)
    return Finding("folder of runs", said, mends)


def _proxy() -> Iterator[Finding]:
    """Say by which proxy requests go, without the password in its address."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        if given := os.environ.get(name):
            yield Finding(name, given.rpartition("@")[2])


def _within(version: str, span: str) -> bool:
    for part in filter(None, span.split(",")):
        sign = part[:2] if part[1] == "=" else part[:1]
        limit, have = _numbers(part[len(sign) :]), _numbers(version)
        if (sign == ">=" and have < limit) or (sign == "<" and have >= limit):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    leading = []
    for piece in version.split("."):
        digits = piece[: len(piece) - len(piece.lstrip("0123456789"))]
        if not digits:
            break
        leading.append(int(digits))
    return tuple(leading)


def _r() -> list[Finding]:
    """Look at R, without which the Python package works all the same."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return [Finding("R", "not found (only needed for Seurat objects)")]
    script = (
        "for (p in c('cellferry', 'Seurat', 'SeuratObject', 'reticulate')) cat(p, "
        "tryCatch(as.character(utils::packageVersion(p)), error = function(e) '-'), '\\n')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    try:
        answer = subprocess.run(
            [rscript, "-e", script],
            capture_output=True, text=True, timeout=60, check=True, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return [Finding("R", f"{rscript} does not run", "Rscript --version")]
    found = [Finding("R", rscript)]
    for line in answer.stdout.splitlines():
        name, _, version = line.strip().partition(" ")
        fix = ""
        if name == "cellferry" and version not in {"-", __version__}:
            fix = _r_install()
            version = f"{version}, and this is {__version__}"
        found.append(Finding(f"R package {name}", _said(version), fix))
    return found


def _said(version: str) -> str:
    return "not installed" if version == "-" else version


def _r_install() -> str:
    """Return the line that installs the R package of this version, from the clone if it is one."""
    clone = Path(__file__).resolve().parents[4]
    if (clone / "DESCRIPTION").is_file():
        return f'R CMD INSTALL "{clone}"'
    return f"git clone {PROJECT_URL} && R CMD INSTALL cellferry"


def _rpy2() -> Finding:
    """Look for rpy2 without loading it: that would start R here."""
    try:
        return Finding("rpy2", metadata.version("rpy2"))
    except metadata.PackageNotFoundError:
        return Finding("rpy2", "not installed (only needed for cellferry.seurat)")
