"""The napari plugin: the only folder that imports napari or Qt.

`files` opens, shows and saves maps; `shell` holds what all docks share; every other folder is a
dock. The manifest `napari.yaml` points to what napari calls.
"""

import re as _re
from importlib.metadata import version as _version
from importlib.util import find_spec as _find_spec

_NEEDED = ("napari", "magicgui", "superqt", "qtpy", "platformdirs")
_OLDEST_NAPARI = (0, 9)
_HELP = 'Install it with: pip install "napari-ebsdml[all]" (with Qt), or "napari-ebsdml[napari]".'


def _check() -> None:
    """Say what a plain install of the package lacks, before the first import of it fails."""
    missing = [name for name in _NEEDED if _find_spec(name) is None]
    if missing:
        raise ImportError(f"The napari plugin needs {', '.join(missing)}. {_HELP}")
    found = _version("napari")
    if tuple(map(int, _re.findall(r"\d+", found)[:2])) < _OLDEST_NAPARI:
        raise ImportError(f"The napari plugin needs napari 0.9 or newer, not {found}. {_HELP}")


_check()
