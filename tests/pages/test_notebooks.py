"""The notebooks are the tutorials, whose code `test_code_blocks` runs."""

from __future__ import annotations

import json

import pytest

from docs.code_blocks import blocks
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
