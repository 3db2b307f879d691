"""The version, its day, what runs beside it, and the line that adds to this installation.

A file of its own so that the build can read it without importing; ``scripts/release`` copies
version and day to all other places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__version__ = "0.2.0"
RELEASED = "2026-11-29"
PROJECT_URL = "https://github.com/cellferry/cellferry"


_PACKAGES = {
    "anndata": "anndata", "celltypist": "celltypist", "dask": "dask", "h5py": "h5py",
    "mudata": "mudata", "numpy": "numpy", "pandas": "pandas", "pydantic_ai": "pydantic-ai-slim",
    "scanpy": "scanpy", "scipy": "scipy", "sklearn": "scikit-learn", "zarr": "zarr",
}  # fmt: skip
"""Module -> the package it is of: what values and answers can go through."""
_of_r: dict[str, str] = {}


def software(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what answers are made with, for a record: name -> version.

    cellferry and Python, the packages above that this process has loaded, and, where R called, R
    with its packages.

    Parameters
    ----------
    more
        What else there is, such as the package of an engine.

    Examples
    --------
    >>> list(software({"its-engine": "1.0"}))[:3]
    ['cellferry', 'its-engine', 'python']
    """
    import platform
    import sys
    from importlib import metadata

    found = {"cellferry": __version__, **(more or {}), "python": platform.python_version()}
    for module, package in _PACKAGES.items():
        if module in sys.modules:
            try:
                found[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
    return {**found, **_of_r}


def called_from_r(versions: Mapping[str, object]) -> None:
    """Remember what R said of itself: R in the process, or the child that has the object.

    Parameters
    ----------
    versions
        ``R`` and its packages; what has no version is left out.
    """
    _of_r.clear()
    _of_r.update({name: str(version) for name, version in versions.items() if version})


@contextmanager
def of_a_child() -> Iterator[None]:
    """Forget at the end of the block what a child of R has said meanwhile."""
    before = dict(_of_r)
    try:
        yield
    finally:
        called_from_r(before)


def pip_install(extra: str, *options: str) -> str:
    """Return the line that adds an extra to this installation, from where it came.

    A clone names its folder, and anything that is from no package index the project's address:
    the line works whether cellferry is published or not.

    Parameters
    ----------
    extra
        The name of an extra of ``pyproject.toml``.
    options
        Options of pip that the extra needs.

    Examples
    --------
    >>> pip_install("server").partition(" ")[0]
    'pip'
    """
    return " ".join(["pip install", *options, f'"{_requirement(extra)}"'])


def _requirement(extra: str) -> str:
    """Return what pip is given, by the record that pip left (PEP 610)."""
    import json
    from importlib import metadata
    from pathlib import Path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        record = metadata.distribution("cellferry").read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # inside R the core is no distribution
        return f"cellferry[{extra}] @ git+{PROJECT_URL}"
    if record is None:
        return f"cellferry[{extra}]"  # from an index, hence there is one that has it
    source = json.loads(record)
    url = source["url"]
    if "vcs_info" in source:
        return f"cellferry[{extra}] @ git+{url}"
    folder = Path(url2pathname(urlsplit(url).path))
    if "dir_info" in source and (folder / "pyproject.toml").is_file():
        return f"{folder}[{extra}]"
    return f"cellferry[{extra}] @ git+{PROJECT_URL}"
