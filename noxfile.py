"""What continuous integration runs, on this machine: ``nox``, ``nox -s tests-3.12``, ``nox -l``.

Torch comes from its index of small builds without CUDA; PIP_EXTRA_INDEX_URL names another.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests-3.11"]
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ["3.11", "3.12", "3.13"]
TORCH = {
    "PIP_EXTRA_INDEX_URL": os.environ.get(
        "PIP_EXTRA_INDEX_URL", "https://download.pytorch.org/whl/cpu"
    )
}
CORE = ["--ignore=tests/napari", "--ignore=tests/test_packaging.py"]
CORE_TOOLS = ["pytest", "pytest-timeout", "hypothesis", "psutil", "nbclient", "ipykernel"]


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Ruff and mypy, with the versions of constraints.txt."""
    session.install("-c", "constraints.txt", "-e", ".[all]", "--group", "dev", env=TORCH)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests with the newest versions."""
    session.install("-e", ".[all]", "--group", "test", env=TORCH)
    session.run("pytest", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session(python="3.11")
def core(session: nox.Session) -> None:
    """The core without napari and Qt."""
    session.install("-e", ".", *CORE_TOOLS, env=TORCH)
    # The warnings that may pass are named by classes of pydantic, which comes with napari.
    session.run("pytest", "-o", "filterwarnings=error", *CORE, *session.posargs)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """The oldest minor versions that pyproject.toml allows."""
    lines = session.run("python", "tools/oldest.py", silent=True)
    constraints = Path(session.create_tmp()) / "oldest.txt"
    constraints.write_text(lines)
    session.install("-c", str(constraints), "-e", ".", *CORE_TOOLS, env=TORCH)
    # Old versions warn of each other: matplotlib 3.9 of pyparsing.
    session.run("pytest", "-o", "filterwarnings=default", *CORE, *session.posargs)


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """The documentation, without a warning."""
    session.install("-c", "constraints.txt", "-e", ".", "--group", "docs", env=TORCH)
    session.run("mkdocs", "build", "--strict")


@nox.session(python="3.11")
def dist(session: nox.Session) -> None:
    """Wheel and sdist, as PyPI would take them."""
    session.install("build", "twine")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", "dist/*")
