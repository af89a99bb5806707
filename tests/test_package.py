"""The package as a whole: import rules, manifest, wheel."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_ebsdml"
GUI = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide6", "vispy", "superqt", "magicgui"}


def modules(folder: Path) -> list[str]:
    """Dotted names of all modules below a folder of the package."""
    names = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


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
    heavy = GUI | {"torch", "kikuchipy", "orix", "numba", "numpy", "h5py", "dask"}
    assert loaded_after(["napari_ebsdml"], heavy) == set()


def test_the_core_needs_no_gui():
    core = [
        name
        for name in modules(PACKAGE)
        if not name.startswith("napari_ebsdml._napari") and not name.endswith("__main__")
    ]
    assert loaded_after(core, GUI) == set()


def test_io_and_maps_need_no_torch():
    names = (
        modules(PACKAGE / "io")
        + modules(PACKAGE / "maps")
        + ["napari_ebsdml.scan", "napari_ebsdml.camera"]
    )
    assert loaded_after(names, {"torch", "kikuchipy"}) == set()


def imports_of(path: Path) -> set[str]:
    """First two parts below the package of everything of ours that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        found |= {n.split(".")[1] for n in names if n.startswith("napari_ebsdml.")}
    return found


GROUND = {"options", "scan", "camera", "errors", "_parallel", "_quaternions", "_quaternion_kernels"}


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("camera", {"errors"}),
        ("scan", {"camera", "errors"}),
        ("io", GROUND | {"io", "materials"}),
        ("maps", GROUND | {"maps", "io"}),
        ("samples", GROUND | {"samples", "maps", "io"}),
        ("learning", GROUND | {"learning", "maps", "io"}),
        ("dislocations", GROUND | {"dislocations", "learning", "maps", "io", "materials"}),
        ("segmentation", GROUND | {"segmentation", "learning", "maps", "io"}),
        ("patterns", GROUND | {"patterns", "learning", "maps", "io", "materials"}),
    ],
)
def test_arrows_point_one_way(room, allowed):
    folder = PACKAGE / room
    paths = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    for path in paths:
        assert imports_of(path) <= allowed, path


def test_no_module_hides_a_public_name():
    """A lazily loaded name gives way to a module of the same name once that is imported."""
    for stub in PACKAGE.rglob("__init__.pyi"):
        public = {
            alias.asname or alias.name
            for node in ast.parse(stub.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        assert not public & {path.stem for path in stub.parent.glob("*.py")}, stub


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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return next(folder.glob("*.whl"))


def test_wheel_holds_what_the_source_holds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("napari_ebsdml/")}
    wanted = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
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
        [python, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
