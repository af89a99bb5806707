"""The package as users get it: start, public names, manifest, metadata, wheel and sdist."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from napari_ebsdml.patterns.raw import imagenet_lite

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_ebsdml"


@cache
def distributions():
    """Which distributions hold a module; asking takes most of a second."""
    return packages_distributions()


def in_fresh_process(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def loaded_after(names: list[str], watched: set[str]) -> set[str]:
    """Which of `watched` packages a fresh process has loaded after importing `names`."""
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted({watched!r} & {{m.partition('.')[0] for m in sys.modules}}))"
    )
    return set(in_fresh_process(code).split())


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"napari", "qtpy", "vispy", "superqt", "magicgui"}
    heavy |= {"torch", "kikuchipy", "orix", "numba", "numpy", "h5py", "dask"}
    assert loaded_after(["napari_ebsdml"], heavy) == set()


def test_public_names_exist_and_are_listed():
    import napari_ebsdml as ebsdml

    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    listed = next(
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    assert sorted(listed) == sorted(ebsdml.__all__)
    for name in listed:
        assert getattr(ebsdml, name) is not None


def test_manifest_is_valid_and_every_command_can_be_imported():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    manifest.validate_imports()
    assert (ROOT / "napari.yaml").read_bytes() == (PACKAGE / "napari.yaml").read_bytes()


def third_party(folder: Path) -> set[str]:
    """Distributions that the files of a folder import, by the name that pip knows."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    names -= {*sys.stdlib_module_names, "napari_ebsdml"}
    known = distributions()
    return {canonical(known[name][0] if name in known else name) for name in names}


def canonical(name: str) -> str:
    """Name of a requirement without version, extras and spelling."""
    return re.split(r"[\[<>=! ;]", name)[0].lower().replace("_", "-").replace(".", "-")


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {canonical(one) for one in project["dependencies"]}
    extras = {
        name: {canonical(one) for one in needed} - {project["name"]}
        for name, needed in project["optional-dependencies"].items()
    }
    plugin = PACKAGE / "_napari"
    inside = third_party(plugin)
    outside = set().union(*(third_party(path) for path in PACKAGE.iterdir() if path != plugin))
    outside |= {
        canonical(distributions()[name][0])
        for path in PACKAGE.glob("*.py")
        for name in re.findall(r"^\s*(?:import|from) (\w+)", path.read_text("utf-8"), re.MULTILINE)
        if name not in sys.stdlib_module_names and name in distributions()
    }
    outside.discard(project["name"])
    assert outside == core | extras["simulate"]
    assert inside - outside == extras["napari"]
    assert extras["all"] == {"napari"}
    # A file of weights; nothing is imported of it.
    assert extras["imagenet"] == {canonical(imagenet_lite.PACKAGE)}


def test_the_recipe_of_conda_asks_for_what_pyproject_does():
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    renamed = {"torch": "pytorch", "dask": "dask-core", "matplotlib": "matplotlib-base"}
    wanted = {f"python {project['requires-python']}", "pyqt"}
    for one in [*project["dependencies"], *project["optional-dependencies"]["napari"]]:
        name, version = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?(.*)", one).groups()
        wanted.add(f"{renamed.get(name, name)} {version}")
    assert set(recipe["requirements"]["run"]) == wanted
    assert recipe["about"]["license"] == project["license"]


def test_the_version_is_told_once():
    import napari_ebsdml

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "version" in tomllib.loads(text)["project"]["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", napari_ebsdml.__version__)


def test_checks_before_a_commit_are_those_of_make_lint():
    pins = dict(re.findall(r"^(ruff|mypy)==(.+)$", (ROOT / "constraints.txt").read_text(), re.M))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert f"rev: v{pins['ruff']}" in hooks
    assert f'"ruff=={pins["ruff"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_links_of_the_papers_lead_somewhere():
    own = re.compile(r"https://(?:github|raw\.githubusercontent)\.com/(?:napari-ebsdml/){2}"
                     r"(?:(?:blob|tree)/)?main/(.+)")  # fmt: skip
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if absolute := own.fullmatch(link):
                assert (ROOT / absolute[1]).exists(), f"{page.name}: {link}"
            elif not link.startswith(("http:", "https:", "mailto:")):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_plugin_says_what_a_plain_install_lacks():
    """As napari calls it: by a command of the manifest."""
    code = (
        "import importlib.util as u, importlib\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name in ('napari', 'superqt')"
        " else real(name, *rest)\n"
        "try: importlib.import_module('napari_ebsdml._napari.files.reader')\n"
        "except ImportError as error: print(error)\n"
    )
    said = in_fresh_process(code)
    assert said.startswith("The napari plugin needs napari, superqt.")
    assert 'pip install "napari-ebsdml[all]"' in said
    old = (
        "import importlib.metadata as m, importlib\n"
        "m.version = lambda name: '0.8.1rc1'\n"
        "try: importlib.import_module('napari_ebsdml._napari.files.reader')\n"
        "except ImportError as error: print(error)\n"
    )
    assert in_fresh_process(old).startswith("The napari plugin needs napari 0.9 or newer")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return next(built.glob("*.whl"))


def test_wheel_holds_what_the_source_holds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("napari_ebsdml/")}
    wanted = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__", ".mypy_cache"} & set(path.parts)
    }
    assert wanted <= packed


def test_sdist_holds_what_make_needs(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Makefile", "constraints.txt", "pyproject.toml", "CITATION.cff", "CHANGELOG.md"}
    for folder in ("tests", "tools", "docs", "benchmarks", "src"):
        wanted |= {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and not {"__pycache__", ".mypy_cache"} & set(path.parts)
        }
    assert wanted <= packed


def test_installed_wheel_is_a_plugin_that_finds_its_samples(wheel, tmp_path):
    """In an environment of its own; the dependencies come from the one that runs the tests."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel],
        check=True,
        timeout=300,
    )
    outside = [p for p in sys.path if "site-packages" in p]
    code = (
        "import sys\n"
        f"sys.path += {outside!r}\n"
        "import napari_ebsdml\n"
        "from pathlib import Path\n"
        f"assert Path(napari_ebsdml.__file__).is_relative_to({str(venv)!r})\n"
        "from npe2 import PluginManager\n"
        "manager = PluginManager(); manager.discover()\n"
        "manifest = manager.get_manifest('napari-ebsdml')\n"
        "manifest.validate_imports()\n"
        "assert manifest.contributions.readers and manifest.contributions.sample_data\n"
        "import importlib.resources as r\n"
        "assert any(r.files('napari_ebsdml').joinpath('sample_data').iterdir())\n"
    )
    result = subprocess.run(
        [python, "-I", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
