"""Options that commands get from settings dataclasses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from napari_ebsdml.cli._app import app
from napari_ebsdml.cli._batch import BatchOptions
from napari_ebsdml.cli._options import slip_systems_of, typed_in
from napari_ebsdml.cli.segment import segment
from napari_ebsdml.dislocations.settings import (
    DensitySettings,
    GndSettings,
    StepSettings,
    TaylorSettings,
    TotalSettings,
)
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.patterns.settings import ClassifySettings, ImproveSettings
from napari_ebsdml.segmentation.settings import PredictSettings, TrainingSettings
from napari_ebsdml.segmentation.truth import TruthSettings

COMMANDS = {
    "maps": (app, [MapSettings, BatchOptions]),
    "gnd": (app, [GndSettings, StepSettings, BatchOptions]),
    "density": (app, [TotalSettings, TaylorSettings, BatchOptions]),
    "article-density": (app, [GndSettings, DensitySettings, TaylorSettings, BatchOptions]),
    "spacegroups": (app, [ClassifySettings, BatchOptions]),
    "improve": (app, [ImproveSettings, BatchOptions]),
    "train": (segment, [TrainingSettings]),
    "predict": (segment, [PredictSettings]),
    "evaluate": (segment, [PredictSettings]),
    "truth": (segment, [TruthSettings]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_offer_the_settings_with_their_names_and_defaults(name: str) -> None:
    where, settings = COMMANDS[name]
    group = get_command(where)
    command = group.commands[name]  # type: ignore[attr-defined]
    offered = {p.name: p for p in command.params}
    for cls in settings:
        for one in typed_in(cls).values():
            option = offered[one.name]
            assert f"--{one.name.replace('_', '-')}" in option.opts
            assert option.default == one.default, (name, one.name)
            assert one.option.label in option.help


def run(*arguments: object) -> int:
    from napari_ebsdml.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["ebsdml", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("maps", "a.ctf", "--kam-order", "11"), "--kam-order must be 1 to 10, not 11"),
        (("maps", "a.ctf", "--direction", "w"), "--direction must be x, y, z or own, not 'w'"),
        (("gnd", "a.ctf", "--norm", "l3"), "--norm must be l1 or l2, not 'l3'"),
        (("gnd", "a.ctf", "--slip-systems", "1=fcc", "--slip-systems", "bcc"), "PHASE=SYSTEMS"),
        (("spacegroups", "a.h5", "--by", "row"), "--by must be pixel, grain or map, not 'row'"),
    ],
)
def test_what_is_out_of_range_is_told_in_one_line(
    arguments: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    text = re.sub(r"\s+", " ", capsys.readouterr().err)
    assert problem in text


def test_slip_systems_for_all_phases_or_each() -> None:
    assert slip_systems_of(None) == "auto"
    assert slip_systems_of(["fcc"]) == "fcc"
    assert slip_systems_of(["1=fcc", "Ferrite=bcc"]) == {1: "fcc", "Ferrite": "bcc"}
    with pytest.raises(InputError, match="PHASE=SYSTEMS"):
        slip_systems_of(["=fcc"])


def test_the_command_line_needs_no_kernels(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, napari_ebsdml.cli;"
        "print([m for m in ('numba', 'torch', 'orix', 'scipy', 'kikuchipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
