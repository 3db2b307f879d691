"""Where things of the repository are, whatever folder a test lies in."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "inst" / "python"
SUPPORT = ROOT / "tests" / "python" / "support"
RECORDED = ROOT / "tests" / "python" / "data"
SHARED = ROOT.parent / "shared"
