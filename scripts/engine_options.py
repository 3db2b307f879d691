"""Write the options of every engine into the docstrings of the functions that annotate.

They are taken from the signatures, so that the help can't say anything else than what is taken.
"""

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "inst" / "python" / "cellferry" / "annotate" / "objects.py"
sys.path.insert(0, str(ROOT / "inst" / "python"))

from cellferry.engines import ENGINES, engine_options  # noqa: E402

PLACE = re.compile(
    r'(engine_class\("\w+"(?P<cells>, "cells")?\)\)``\. With their defaults:\n)'
    r"(?P<list>.*?)(?=\n    Returns\n)",
    re.DOTALL,
)


def listed(level: str) -> str:
    """Return one paragraph for each engine, each option with its default."""
    lines: list[str] = []
    for name in (name for name, classes in ENGINES.items() if level in classes):
        options = [
            option if default is None else f"{option}={default!r}"
            for option, default in engine_options(name, level).items()
        ]
        lines += ["", *textwrap.wrap(f'``"{name}"``: {", ".join(options)}.', 92)]
    return "\n".join(f"        {line}" if line else "" for line in lines) + "\n"


def written(source: str) -> str:
    """Return the source of the module with the options as they are."""
    made, n = PLACE.subn(
        lambda found: found[1] + listed("cells" if found["cells"] else "clusters"), source
    )
    if n != 2:
        message = f"{TARGET} has {n} places for the options of engines, not 2"
        raise SystemExit(message)
    return made


if __name__ == "__main__":
    TARGET.write_text(written(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
