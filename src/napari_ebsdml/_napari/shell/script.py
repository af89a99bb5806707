"""Scripts that repeat without napari what a dock does; no Qt here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_ebsdml.errors import InputError
from napari_ebsdml.options import changes
from napari_ebsdml.scan import Scan

_WIDTH = 88


def script(title: str, imports: Sequence[str], body: Sequence[str]) -> str:
    """A whole script.

    Parameters
    ----------
    title
        What it does, in a few words.
    imports
        Lines, besides that of the package.
    body
        Lines.
    """
    from napari_ebsdml import __version__

    ours = [line for line in imports if " napari_ebsdml" in line]
    others = [line for line in imports if line not in ours]
    return "\n".join(
        [
            f'"""{title}, as in napari, with napari-ebsdml {__version__}."""',
            "",
            *others,
            *([""] if others else []),
            "import napari_ebsdml as ebsdml",
            *ours,
            "",
            *body,
            "",
        ]
    )


def reading(scan: Scan) -> str:
    """Call that reads a scan's file as it was read.

    Raises
    ------
    InputError
        When the scan came from no file.
    """
    from napari_ebsdml.io.frames import FRAMES

    source = scan.source
    if source.path is None or not source.path.exists():
        raise InputError(
            f"{scan.name} is in no file that a script could read: save it (File > Save Selected "
            "Layers) and open that."
        )
    more = {}
    if source.scan_name:
        more["scan"] = source.scan_name
    if source.reference_frame in FRAMES:
        more["ref_frame"] = source.reference_frame
    return call("ebsdml.read", repr(str(source.path.resolve())), **more)


def call(function: str, *positional: str, **values: Any) -> str:
    """A call; positional arguments are written as they stand, values as they are."""
    arguments = [*positional, *(f"{name}={value!r}" for name, value in values.items())]
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{function}(", *(f"    {argument}," for argument in arguments), ")"])


def written(settings: Any) -> str:
    """Settings as code: what differs from the defaults and has an effect."""
    return call(type(settings).__name__, **changes(settings))


def without_defaults(settings: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those keyword arguments of a settings object that differ from the defaults'."""
    default = type(settings)().arguments()
    return {name: value for name, value in arguments.items() if value != default[name]}
