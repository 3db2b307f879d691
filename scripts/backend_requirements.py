"""Write what InstallBackend() installs, from pyproject.toml.

``inst/backend-requirements.txt`` has what the core needs, ``inst/backend-requirements-server.txt``
what artifacts and the live page need besides.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INST = ROOT / "inst"


def requirements() -> dict[str, str]:
    """Return file -> content."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    server = [line for line in extras["server"] if not line.startswith("cellferry[")]
    lines = {
        "backend-requirements.txt": project["dependencies"],
        "backend-requirements-server.txt": [*extras["artifacts"], *server],
    }
    return {name: "".join(f"{line}\n" for line in needed) for name, needed in lines.items()}


if __name__ == "__main__":
    for name, content in requirements().items():
        (INST / name).write_text(content, encoding="utf-8")
        sys.stdout.write(f"wrote {INST / name}\n")
