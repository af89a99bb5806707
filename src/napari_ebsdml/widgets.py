"""Small magicgui widgets of the main functions, for napari's console and for scripts.

::

    import napari_ebsdml as ebsdml

    widget = ebsdml.widgets.gnd_density()
    viewer.window.add_dock_widget(widget, name="GND density")
    widget.settings.norm.value = "l2"
    gnd = widget()  # computes, adds the layers and returns the result

The button does the same in the background. napari and magicgui are imported when a widget is made.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "gnd_density", "maps", "open_session", "save_session", "segmenter", "space_groups",
    "total_dislocation_density",
]  # fmt: skip


def save_session(viewer: Any, path: Any) -> Any:
    """Write all layers of a viewer, their maps, results and docks, whole or not at all.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
    path : path-like
        Gets the ending .ebsdml.zarr where it has another. A session of that name is replaced.

    Returns
    -------
    pathlib.Path
        Of the session.

    Raises
    ------
    InputError
        When there is no layer.
    WriteError
        When it cannot be written, or something else has that name.
    """
    from napari_ebsdml._napari.files import session

    return session.save_session(viewer, path)


def open_session(path: Any, viewer: Any = None) -> Any:
    """Bring back what `save_session` wrote: layers, view, and docks where there is a window.

    Parameters
    ----------
    path : path-like
    viewer : napari.Viewer, optional
        To add to. Default: a new `napari.components.ViewerModel`, without a window.

    Returns
    -------
    napari.Viewer or napari.components.ViewerModel

    Raises
    ------
    FileFormatError
        When there is no session, one of a later version, or a damaged one; the viewer is then
        as it was.
    """
    from napari_ebsdml._napari.files import session

    return session.open_session(path, viewer)


def maps(viewer: Any = None) -> Any:
    """Widget of `maps.compute_maps`: KAM, grains, boundaries and the like.

    Parameters
    ----------
    viewer : napari.Viewer, optional
        Whose scans to offer, and where layers go. Default: the current one.

    Returns
    -------
    magicgui.widgets.Container
        Called, it returns the list of `ComputedMap`.
    """
    from napari_ebsdml._napari import widgets

    return widgets.maps(viewer)


def gnd_density(viewer: Any = None) -> Any:
    """Widget of `gnd_density`; called, it returns the `GndDensity`."""
    from napari_ebsdml._napari import widgets

    return widgets.gnd_density(viewer)


def total_dislocation_density(viewer: Any = None) -> Any:
    """Widget of `total_dislocation_density`; called, it returns the `TotalDensity`."""
    from napari_ebsdml._napari import widgets

    return widgets.total_dislocation_density(viewer)


def segmenter(viewer: Any = None) -> Any:
    """Widget of `Segmenter.predict`, with a model file; called, it returns the result."""
    from napari_ebsdml._napari import widgets

    return widgets.segmenter(viewer)


def space_groups(viewer: Any = None) -> Any:
    """Widget of `SpaceGroupClassifier.predict_scan`; called, it returns the result."""
    from napari_ebsdml._napari import widgets

    return widgets.space_groups(viewer)
