"""Sphinx reads this; scripts/docs.py makes the folder that it is run in."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
while not (ROOT / "pyproject.toml").is_file():
    ROOT = ROOT.parent
sys.path.insert(0, str(ROOT / "inst" / "python"))

from cellferry import __version__  # noqa: E402

project = "cellferry"
author = "The cellferry authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py", "_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = f"cellferry {__version__}"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_attr_annotations = False
# What R and pandoc write has languages and blocks that no lexer knows.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
