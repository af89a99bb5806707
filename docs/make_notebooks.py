"""Make the notebooks of the tutorials: ``python docs/make_notebooks.py``.

The pages in docs/tutorials are the source; the tests run their code and hold the notebooks to them.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs.code_blocks import blocks  # noqa: E402

TUTORIALS = ROOT / "docs" / "tutorials"
NOTEBOOKS = ROOT / "docs" / "notebooks"
NAMES = ("segment", "deformation", "crystal")


def notebook(page: str) -> str:
    """A page as a notebook of Jupyter (format 4.5), without what the code printed."""
    cells = []
    at = 0
    for block in [b for b in blocks(page) if b.language in ("python", "text")]:
        cells.append(_cell("markdown", page[at : block.start]))
        if block.language == "python" and not block.given:
            cells.append(_cell("code", block.code))
        at = block.end
    cells.append(_cell("markdown", page[at:]))
    full = [cell for cell in cells if cell["source"]]
    for number, cell in enumerate(full):
        cell["id"] = f"cell-{number}"
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    table = {"cells": full, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(kind: str, text: str) -> dict[str, object]:
    # From docs/notebooks the neighbours of a tutorial lie in another folder.
    text = re.sub(r"\]\((\w+\.md)", r"](../tutorials/\1", text.strip())
    cell: dict[str, object] = {
        "cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True),
    }  # fmt: skip
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def main() -> None:
    """Write the three notebooks."""
    NOTEBOOKS.mkdir(exist_ok=True)
    for name in NAMES:
        page = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
        (NOTEBOOKS / f"{name}.ipynb").write_text(notebook(page), encoding="utf-8")


if __name__ == "__main__":
    main()
