"""Constraints for pip: the oldest minor version of all that pyproject.toml asks for.

    python tools/oldest.py > oldest.txt
    pip install -c oldest.txt -e .

Names given as arguments are left out, such as torch where its oldest build cannot be had.
"""

import re
import sys
import tomllib
from pathlib import Path

_ASKED = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?>=(?P<version>[\d.]+)")


def oldest(pyproject: Path, without: set[str]) -> list[str]:
    """Lines such as ``numpy==2.0.*``."""
    lines = []
    for asked in tomllib.loads(pyproject.read_text())["project"]["dependencies"]:
        found = _ASKED.fullmatch(asked)
        if found is None:
            raise SystemExit(f"{asked!r} has no lower bound that this script understands.")
        if found["name"] not in without:
            lines.append(f"{found['name']}=={found['version']}.*")
    return lines


if __name__ == "__main__":
    print("\n".join(oldest(Path(__file__).parents[1] / "pyproject.toml", set(sys.argv[1:]))))
