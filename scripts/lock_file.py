"""Write a lock file from what pip reports that it would install; see scripts/lock."""

import json
import sys
from pathlib import Path

HEAD = """\
# Made by scripts/lock for Python {python} on Linux (x86_64); not to be edited.
# pip install --require-hashes -r {name} && pip install --no-deps cellferry
"""


def lock(report: dict, name: str) -> str:
    """Return the lines of a lock file, one package each, without the project itself."""
    lines = [HEAD.format(python=report["environment"]["python_version"], name=name)]
    packages = {
        item["metadata"]["name"].lower().replace("_", "-"): item for item in report["install"]
    }
    for package, item in sorted(packages.items()):
        archive = item["download_info"].get("archive_info")
        if archive is None:  # this project
            continue
        version, digest = item["metadata"]["version"], archive["hashes"]["sha256"]
        lines.append(f"{package}=={version} --hash=sha256:{digest}\n")
    return "".join(lines)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    found = lock(json.loads(source.read_text(encoding="utf-8")), str(target))
    target.write_text(found, encoding="utf-8")
    sys.stdout.write(f"wrote {target}: {found.count('--hash')} packages\n")
