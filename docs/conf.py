"""Sphinx: `make docs`. The documents are Markdown (MyST) and read as well without it."""

import re
from pathlib import Path

project = "signed_ledger"
copyright = "The signed_ledger authors, Apache-2.0"
release = re.findall(
    r'^__version__ = "(.+)"$',
    (Path(__file__).parent.parent / "signed_ledger" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
)[0]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3

html_theme = "furo"
html_title = f"signed_ledger {release}"
html_copy_source = False
