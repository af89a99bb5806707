"""A script that repeats a run of the segmenter without napari; no Qt here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml.segmentation import Segmenter


@dataclass(frozen=True, eq=False)
class Painted:
    """Strokes on a scan, and the scan with the properties that it was trained with."""

    scan: Scan
    prepared: Scan
    labels: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Run:
    """One training: what it was given, and the model that it made."""

    painted: tuple[Painted, ...]
    model: Segmenter


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that came from a file."""

    path: Path
    model: Segmenter


History = Sequence[Run | Loaded]


class _Names:
    """Variables of the script, one for each scan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.from_files = True
        self._known: dict[Scan, str] = {}

    def scan(self, scan: Scan, prepared: Scan) -> str:
        if prepared in self._known:
            return self._known[prepared]
        number = len(self._known) + 1
        name = f"scan_{number}"
        self._known[prepared] = name
        self.lines.append(f"{name} = {self._read(scan, number)}")
        for more in set(prepared.prop) - set(scan.prop):
            file = f"{_plain(scan.name)}-{number}-{_plain(more)}.npy"
            _save(self.folder / file, prepared.prop[more])
            self.lines.append(
                f"{name} = with_property({name}, {more!r}, np.load(folder / {file!r}))"
            )
        return name

    def _read(self, scan: Scan, number: int) -> str:
        from napari_ebsdml.io import write
        from napari_ebsdml.io.frames import FRAMES

        source = scan.source
        if source.path is None or not source.path.exists():
            self.from_files = False
            file = f"{_plain(scan.name)}-{number}.h5"
            write(self.folder / file, scan)
            return f"ebsdml.read(folder / {file!r})"
        arguments = [repr(str(source.path.resolve()))]
        if source.scan_name:
            arguments.append(f"scan={source.scan_name!r}")
        if source.reference_frame in FRAMES:
            arguments.append(f"ref_frame={source.reference_frame!r}")
        return f"ebsdml.read({', '.join(arguments)})"


def write_script(
    folder: Path, history: History, scans: Sequence[tuple[Scan, Scan]], options: Mapping[str, Any]
) -> str:
    """Save the strokes of a run, and make the script that repeats it.

    Parameters
    ----------
    folder
        Where strokes, script and later its results go; is made.
    history
        Trainings in their order; the first may be a model from a file.
    scans
        What to predict: scans as in the viewer, and with the properties to predict them from.
    options
        Arguments of `Segmenter.predict`.

    Returns
    -------
    str
        The script, which is also ``run.py`` in the folder.

    Raises
    ------
    InputError
        When there is no training, or its strokes are not known.
    WriteError
        When a file cannot be written.
    """
    if not history:
        raise InputError("There is no run yet to copy: train or load a model first.")
    from napari_ebsdml.segmentation.labels.data import data_hash

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: {error.strerror}.") from None
    names = _Names(folder)
    body: list[str] = []
    number = 0
    for step in history:
        if isinstance(step, Loaded):
            path = str(step.path.resolve())
            body += ["# The model to start from."]
            body += [f"segmenter = ebsdml.Segmenter.load({path!r})", ""]
            continue
        items = [(one.prepared, one.labels) for one in step.painted]
        if data_hash(items) != step.model.record["data_sha256"]:
            raise InputError(
                "The strokes that this model was trained on are not known any more: train again."
            )
        pairs: list[str] = []
        for one in step.painted:
            number += 1
            file = f"strokes-{number}.npy"
            _save(folder / file, _small(one.labels))
            name = names.scan(one.scan, one.prepared)
            names.lines.append(f"strokes_{number} = np.load(folder / {file!r})")
            pairs.append(f"({name}, strokes_{number})")
        body += [*_training(step.model, pairs), ""]
    expected = history[-1].model.record.get("data_sha256")
    if names.from_files and isinstance(history[-1], Run):
        body += [f'if segmenter.record["data_sha256"] != {expected!r}:']
        body += ['    print("Maps or strokes differ from those of the run in napari.")', ""]
    body += ['segmenter.save(folder / "segmenter")', ""]
    variables = [(scan.name, names.scan(scan, prepared)) for scan, prepared in scans]
    body += _prediction(variables, options)
    text = "\n".join([*_head(folder, history, scans), *names.lines, "", *body]) + "\n"
    try:
        with replacing(folder / "run.py") as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WriteError(f"{folder / 'run.py'}: {error.strerror}.") from None
    return text


def _head(folder: Path, history: History, scans: Sequence[tuple[Scan, Scan]]) -> list[str]:
    from napari_ebsdml import __version__

    every = [one for step in history if isinstance(step, Run) for one in step.painted]
    extra = any(one.prepared is not one.scan for one in every) or any(a is not b for a, b in scans)
    wanted = ["with_property"] if extra else []
    if any(_has_network(step.model) for step in history if isinstance(step, Run)):
        wanted.insert(0, "UNetSettings")
    lines = [
        f'"""The segmentation that was made in napari, with napari-ebsdml {__version__}."""', "",
        "from pathlib import Path", "", "import numpy as np", "", "import napari_ebsdml as ebsdml",
    ]  # fmt: skip
    if wanted:
        lines.append(f"from napari_ebsdml.segmentation import {', '.join(wanted)}")
    return [
        *lines, "", "# Here lie the strokes (0: not painted), and here the results go.",
        f"folder = Path({str(folder.resolve())!r})", "",
    ]  # fmt: skip


def _has_network(model: Segmenter) -> bool:
    settings = model.record["settings"]
    return settings.get("network") is not None and model.record.get("before") is None


def _training(model: Segmenter, pairs: Sequence[str]) -> list[str]:
    """Call that repeats a training, ended after the same epoch."""
    from napari_ebsdml.segmentation import TrainingSettings

    recorded = dict(model.record["settings"])
    network = recorded.pop("network", None)
    # A time limit would end another machine's training elsewhere: the epochs are counted.
    recorded.pop("seconds", None)
    done, more = len(model.record["curve"]), model.record.get("before") is not None
    default = TrainingSettings().as_dict()
    settings = {k: v for k, v in recorded.items() if more or v != default.get(k)}
    arguments = [f"[{', '.join(pairs)}]"]
    if not more:
        channels = tuple(c for c in model.channels if c != "Indexed")
        values = model.classes.values
        arguments += [
            f"channels={channels!r}",
            f"classes={dict(zip(values, model.classes.names, strict=True))!r}",
            f"colors={dict(zip(values, model.classes.colors, strict=True))!r}",
        ]
        if network is not None:
            sizes = ", ".join(f"{k}={v!r}" for k, v in network.items())
            arguments.append(f"network=UNetSettings({sizes})")
    arguments += [f"{k}={v!r}" for k, v in settings.items()]
    inner = [f"    {argument}," for argument in arguments]
    whole = done >= int(recorded["epochs"])
    owner = "segmenter" if more else "ebsdml.Segmenter"
    if whole:
        return [f"segmenter = {owner}.{'train_more' if more else 'train'}(", *inner, ")"]
    return [
        f"training = {owner}.{'more_training' if more else 'training'}(", *inner, ")",
        "for event in training:",
        f"    if event.kind == \"epoch\" and event.epoch == {done}:  # it was ended here",
        "        break", "training.close()", "segmenter = training.segmenter",
    ]  # fmt: skip


def _prediction(scans: Sequence[tuple[str, str]], options: Mapping[str, Any]) -> list[str]:
    if not scans:
        return []
    used: dict[str, str] = {}
    for name, variable in scans:
        key = name
        while key in used:
            key += "'"
        used[key] = variable
    inner = ", ".join(["scan", *(f"{k}={v!r}" for k, v in options.items())])
    scans_text = ", ".join(f"{_plain(name)!r}: {variable}" for name, variable in used.items())
    return [
        f"for name, scan in {{{scans_text}}}.items():",
        f"    result = segmenter.predict({inner})",
        '    np.save(folder / f"{name}-segmentation.npy", result.labels)',
        "    for phase in result.fractions():",
        "        low, high = 100 * phase.low, 100 * phase.high",
        "        share = 100 * phase.fraction",
        '        print(f"{name}: {phase.name} {share:.1f} % ({low:.1f}-{high:.1f})")',
    ]  # fmt: skip


def _small(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    return labels.astype(np.min_scalar_type(int(labels.max(initial=0))))


def _save(path: Path, array: NDArray[Any]) -> None:
    try:
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror}.") from None


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name) or "scan"


def predict_arguments(options: Any) -> dict[str, Any]:
    """Arguments of `Segmenter.predict` that differ from its defaults."""
    values = dataclasses.asdict(options)
    default = dataclasses.asdict(type(options)())
    if not values.get("grain_vote"):
        values.pop("grain_threshold", None)
    return {k: v for k, v in values.items() if v != default[k]}
