"""Steps: what a batch does with every map.

A step of the package is a module of `batching.steps` with a `STEP`; its row is in `_MODULES`. A
step of one's own is a function of a scan::

    def brightness(scan):
        return {"mean_bc": float(scan.get("BC").mean())}

    ebsdml.batch("maps/", ["maps", brightness], "results")
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from napari_ebsdml import __version__
from napari_ebsdml._parallel import Report
from napari_ebsdml.batching.writing import Row
from napari_ebsdml.errors import InputError
from napari_ebsdml.io.provenance import file_hash, plain
from napari_ebsdml.options import settings_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_ebsdml.batching.large.store import LargeMap
    from napari_ebsdml.scan import Scan

_MODULES = {
    "maps": "maps",
    "improve": "improve",
    "gnd": "gnd",
    "density": "density",
    "article-density": "article_density",
    "parents": "parents",
    "grain-classes": "grain_classes",
    "segment": "segment",
    "spacegroups": "spacegroups",
    "crystals": "crystals",
}
"""Name of a step -> its module in `batching.steps`."""

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Outcome:
    """What a step makes of one map.

    Attributes
    ----------
    row
        Columns of the map's row in summary.csv.
    arrays
        Written to NAME + `ending` of the step + ".npz".
    files
        Ending of a name, such as "-segmentation.tif" -> function that writes the file of a path,
        whole or not at all.
    tables
        Name of a CSV file over all maps -> rows.
    notes
        Sentences on what to be careful about.
    says
        The answer in a sentence; "" where the row tells it.
    picture
        Title, and (rows, columns, 3) uint8 for the contact sheet.
    """

    row: Row = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    says: str = ""
    picture: tuple[str, NDArray[np.uint8]] | None = None


@dataclass(frozen=True)
class Work:
    """What a step is given.

    Attributes
    ----------
    scan
    settings
        All settings of the step.
    model
        What the step's `load` gave; None of a step without.
    progress
        To be told the fraction done.
    steps
        Names of all steps of the batch.
    shared
        What steps of the same map leave for those that follow.
    large
        The map in a folder, where it is to be worked on in bands; `scan` is then mapped from its
        files.
    client
        Of Dask, to spread bands over the workers; None: one after the other.
    """

    scan: Scan
    settings: Mapping[str, Any]
    model: Any
    progress: Report
    steps: Sequence[str] = ()
    shared: dict[str, Any] = field(default_factory=dict)
    large: LargeMap | None = None
    client: Any = None

    def of(self, cls: type[Settings]) -> Settings:
        """Those settings that make a settings dataclass."""
        names = [one.name for one in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: self.settings[name] for name in names if name in self.settings})


@dataclass(frozen=True)
class Step:
    """Something to do with every map.

    Attributes
    ----------
    name
    run
        A function of a module, so that it can be sent to workers.
    ending
        Of names of results: "-gnd" makes NAME-gnd.npz.
    classes
        Settings dataclasses whose fields are settings of the step.
    also
        Further settings with their defaults.
    load
        Gives the model of settings, once for all maps; it is looked for in ``settings["model"]``.
    model_files
        Files of the model that settings name; their hashes tell whether it is the same.
    table
        Name of a table in which every map has a row, one that failed too.
    """

    name: str
    run: Callable[[Work], Outcome]
    ending: str = ""
    classes: tuple[type, ...] = ()
    also: Mapping[str, Any] = field(default_factory=dict)
    load: Callable[[Mapping[str, Any]], Any] | None = None
    model_files: Callable[[Mapping[str, Any]], Sequence[Path]] | None = None
    table: str | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """All settings with their defaults."""
        found: dict[str, Any] = {}
        for cls in self.classes:
            found |= {
                one.name: getattr(cls(), one.name)
                for one in dataclasses.fields(cls)
            }  # fmt: skip
        return found | dict(self.also)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, with those given in place of the defaults.

        Raises
        ------
        InputError
            When one is unknown or out of range.
        """
        known = self.defaults
        for name, value in given.items():
            if name not in known:
                listed = ", ".join(known) or "none"
                raise InputError(f"{self.name!r} has no setting {name!r}; it has {listed}.")
            option = next(
                (s[name] for cls in self.classes if name in (s := settings_of(cls))), None
            )
            if option is not None and not option.allows(value) and value != option.default:
                raise InputError(f"{self.name!r}: {name} cannot be {value!r}.")
        return known | dict(given)


@dataclass(frozen=True)
class BoundStep:
    """A step with its settings.

    Attributes
    ----------
    step
    settings
    key
        Of step, settings and model: results with another one are others.
    model
        sha256 of the model, "" without one.
    """

    step: Step
    settings: Mapping[str, Any]
    key: str
    model: str = ""

    @property
    def name(self) -> str:
        """Name of the step."""
        return self.step.name


StepLike: TypeAlias = "str | Step | Callable[[Scan], Any] | tuple[Any, Any]"


def steps_offered() -> list[str]:
    """Names of the steps of the package."""
    return list(_MODULES)


def named_step(name: str) -> Step:
    """The step of this name.

    Raises
    ------
    InputError
        When there is none.
    """
    if name not in _MODULES:
        raise InputError(f"There is no step {name!r}; there are {', '.join(_MODULES)}.")
    step: Step = import_module(f"napari_ebsdml.batching.steps.{_MODULES[name]}").STEP
    return step


def bind(steps: StepLike | Iterable[StepLike], frame: Any = None) -> list[BoundStep]:
    """Steps with their settings, from what people write.

    Parameters
    ----------
    steps
        Each a name, a `Step`, a function of a scan, or one of these with settings: ``("maps",
        {"kam_order": 2})``. A settings dataclass, or a list, may stand in place of the dict.
    frame
        In which the files are read; part of the keys.

    Raises
    ------
    InputError
        When there is no step, one is unknown or twice, or a setting is.
    """
    given: list[Any] = [steps] if _is_one(steps) else list(steps)  # type: ignore[arg-type]
    if not given:
        raise InputError(f"Name at least one step: {', '.join(_MODULES)}, or a function.")
    found: list[BoundStep] = []
    for one in given:
        what, *how = one if isinstance(one, tuple) else (one,)
        step = named_step(what) if isinstance(what, str) else what
        if not isinstance(step, Step):
            step = _own_step(step)
        settings = step.settings(_flat(how))
        if step.name in [other.name for other in found]:
            raise InputError(f"The step {step.name!r} is there twice.")
        model = _model_hash(step, settings)
        said = [
            __version__, step.name, plain({**settings, "model": model}), _source(step),
            str(frame or ""),
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        found.append(BoundStep(step, settings, key, model))
    return found


def _is_one(steps: Any) -> bool:
    if isinstance(steps, tuple):
        return len(steps) == 2 and not isinstance(steps[1], str | tuple | Step | Callable)
    return isinstance(steps, str | Step) or callable(steps) or not isinstance(steps, Iterable)


def _is_settings(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, Step | type)


def _flat(how: Sequence[Any]) -> dict[str, Any]:
    """Settings as one dict."""
    found: dict[str, Any] = {}
    for one in (one for part in how for one in (part if isinstance(part, list) else [part])):
        if _is_settings(one):
            found |= {f.name: getattr(one, f.name) for f in dataclasses.fields(one)}
        elif isinstance(one, Mapping):
            found |= one
        else:
            raise InputError(f"Settings of a step are a dict or settings dataclass, not {one!r}.")
    return found


@dataclass(frozen=True)
class _Own:
    """A function of a scan as a step."""

    function: Callable[[Any], Any]
    name: str

    def __call__(self, work: Work) -> Outcome:
        made = self.function(work.scan)
        if isinstance(made, Outcome):
            return made
        if made is None:
            return Outcome()
        if not isinstance(made, Mapping):
            raise InputError(
                f"{self.name} must return a dict (numbers and texts for the table, arrays for "
                f"files) or an Outcome, not {type(made).__name__}."
            )
        arrays = {key: value for key, value in made.items() if getattr(value, "ndim", 0)}
        return Outcome({key: value for key, value in made.items() if key not in arrays}, arrays)


def _own_step(function: Any) -> Step:
    if not callable(function):
        raise InputError(f"A step is a name, a Step or a function of a scan, not {function!r}.")
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    return Step(name, _Own(function, name), f"-{name}")


def _source(step: Step) -> str:
    """What tells a function of one's own from another; "" for the package's steps."""
    if not isinstance(step.run, _Own):
        return ""
    from distributed.protocol.pickle import dumps

    # The pickle of a module's function is its name alone; the source of another lacks what it
    # takes from around it.
    pickled = hashlib.sha256(bytes(dumps(step.run.function))).hexdigest()
    try:
        return inspect.getsource(step.run.function) + pickled
    except (OSError, TypeError):
        return pickled


def _model_hash(step: Step, settings: Mapping[str, Any]) -> str:
    if step.load is None:
        return ""
    model = settings.get("model")
    if not isinstance(model, str | os.PathLike):
        import pickle

        return hashlib.sha256(pickle.dumps(model)).hexdigest()
    paths = step.model_files(settings) if step.model_files is not None else []
    return hashlib.sha256("".join(file_hash(p) for p in paths if p.is_file()).encode()).hexdigest()
