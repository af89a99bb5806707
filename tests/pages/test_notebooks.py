"""The notebooks are the tutorials, and run in a kernel of Jupyter."""

from __future__ import annotations

import json
from pathlib import Path

import nbclient
import nbformat
import pytest

from docs.code_blocks import ROOT, blocks
from docs.make_notebooks import NAMES, NOTEBOOKS, TUTORIALS, notebook


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_those_of_the_tutorials(name: str) -> None:
    page = (TUTORIALS / f"{name}.md").read_text("utf-8")
    kept = (NOTEBOOKS / f"{name}.ipynb").read_text("utf-8")
    assert kept == notebook(page), "python docs/make_notebooks.py makes them anew"
    code = [c["source"] for c in json.loads(kept)["cells"] if c["cell_type"] == "code"]
    shown = [b.code for b in blocks(page) if b.language == "python" and not b.given]
    assert ["".join(one) for one in code] == [one.strip() for one in shown]
    for cell in json.loads(kept)["cells"]:
        assert "```python" not in "".join(cell["source"])


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_notebooks_run(name: str, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    first = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.pages.small import use_small_things; use_small_things()"
    )
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    run = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    run.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
