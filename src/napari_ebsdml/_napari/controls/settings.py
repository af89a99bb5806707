"""What the widgets remember, kept by napari and shown in its Preferences.

The manifest declares every setting with its default and limits under ``configurations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PLUGIN = "napari-ebsdml"


def remembered(section: str) -> dict[str, Any]:
    """Settings of one widget; empty when napari cannot give them.

    Parameters
    ----------
    section
        Key under ``configurations`` of the manifest, e.g. "maps".
    """
    stored = _section(section)
    return {name: getattr(stored, name) for name in _fields(stored)} if stored is not None else {}


def remember(section: str, values: Mapping[str, Any]) -> None:
    """Keep settings of one widget for the next time; names that are not declared are left out."""
    stored = _section(section)
    if stored is None:
        return
    for name in _fields(stored):
        if name in values and getattr(stored, name) != values[name]:
            try:
                setattr(stored, name, values[name])
            except (ValueError, OSError) as error:
                _warn(f"The setting {section}.{name} was not kept: {error}")
                return


def _section(section: str) -> Any:
    from napari.settings import get_plugin_settings

    try:
        return getattr(get_plugin_settings(_PLUGIN), section, None)
    except KeyError:
        # The plugin is disabled, or was not found: its widgets still work from a script.
        return None
    except (ValueError, OSError) as error:
        _warn(f"napari's settings of {_PLUGIN} cannot be read, so defaults are used: {error}")
        return None


def _fields(stored: Any) -> list[str]:
    return list(type(stored).model_fields) if stored is not None else []


def _warn(text: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(text)
