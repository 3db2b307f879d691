"""The version, its day, and the line that adds to this installation.

A file of its own so that the build can read it without importing; ``scripts/release`` copies
version and day to all other places.
"""

from __future__ import annotations

__version__ = "0.2.0"
RELEASED = "2026-11-29"
PROJECT_URL = "https://github.com/cellferry/cellferry"


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
