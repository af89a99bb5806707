"""The manifest that napari finds the plugin by."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from npe2 import PluginManifest

from napari_ebsdml.io import formats


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-ebsdml")


def test_manifest_imports(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    commands = manifest.contributions.commands or []
    assert commands
    for command in commands:
        assert str(command.python_name).startswith("napari_ebsdml._napari.")
        module, _, name = str(command.python_name).partition(":")
        assert callable(getattr(import_module(module), name))


def test_every_contribution_has_a_command_and_every_command_is_used(
    manifest: PluginManifest,
) -> None:
    points = manifest.contributions
    known = {command.id for command in points.commands or []}
    used = {
        item.command
        for group in (points.readers, points.writers, points.sample_data, points.widgets)
        for item in group or []
    }
    used |= {item.command for menu in points.menus.values() for item in menu}
    assert used == known


def test_reader_is_asked_for_every_extension_that_can_be_read(manifest: PluginManifest) -> None:
    (reader,) = manifest.contributions.readers or []
    asked = {pattern.removeprefix("*") for pattern in reader.filename_patterns}
    pictures = {".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg"}  # folders of patterns
    readable = {extension for fmt in formats() for extension in fmt.extensions} - pictures
    assert readable <= asked
    assert reader.accepts_directories


def test_writers_offer_the_formats_that_can_be_written(manifest: PluginManifest) -> None:
    offered = {e for w in manifest.contributions.writers or [] for e in w.filename_extensions}
    writable = {e for fmt in formats() if fmt.write for e in fmt.extensions}
    assert offered <= writable
    assert {".ang", ".ctf", ".h5"} <= offered


def test_discovery_imports_no_heavy_package() -> None:
    code = (
        "import sys; from npe2 import PluginManager as P; P.instance().discover();"
        "assert 'napari-ebsdml' in P.instance();"
        "print([m for m in ('torch', 'kikuchipy', 'orix', 'numba', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
