"""Samples of the menu File > Open Sample: each a function that returns layers."""

from __future__ import annotations

from typing import Any

from napari_ebsdml._napari.files.map_layers import map_layers
from napari_ebsdml._napari.files.reader import free_place, notify, read_layers
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import LayerTuple, layer_data
from napari_ebsdml.samples.downloads import NICKEL, fetch


def duplex_steel() -> list[Any]:
    """Super duplex steel: austenite and ferrite, so every pixel's phase is known."""
    return read_layers(str(fetch("duplex_steel")))


def dc06_steel() -> list[Any]:
    """DC06 steel after 2 % strain: MTEX's example of a GND density."""
    return read_layers(str(fetch("dc06_steel")))


def nickel_patterns() -> list[Any]:
    """Nine Kikuchi patterns of nickel, 60 x 60 pixels, with orientations."""
    return read_layers(str(fetch(NICKEL)))


def dual_phase_steel(shape: tuple[int, int] = (428, 570), seed: int = 0) -> list[LayerTuple]:
    """Synthetic ferrite and martensite; the truth is a hidden Labels layer.

    Parameters
    ----------
    shape : (rows, columns)
    seed
        Of the random microstructure.
    """
    from napari_ebsdml.samples import dual_phase_steel as make

    scan, truth, *_ = make(shape=shape, seed=seed)
    place = _arrive(scan)
    return [*map_layers(scan, place), truth_layer(scan, truth, place)]


def martensite(shape: tuple[int, int] = (200, 250), seed: int = 0) -> list[LayerTuple]:
    """Synthetic lath martensite; the grains of the austenite before are a hidden Labels layer.

    Parameters
    ----------
    shape : (rows, columns)
    seed
        Of the random microstructure.
    """
    from napari_ebsdml.samples import martensite as make

    made = make(shape=shape, seed=seed)
    place = _arrive(made.scan)
    return [
        *map_layers(made.scan, place),
        layer_data(
            made.scan, made.parent_id, "truth", kind="labels", translate=place, visible=False
        ),
    ]


def _arrive(scan: Any) -> tuple[float, float]:
    """Tell of a map that is about to be added, and where it goes."""
    from napari_ebsdml._napari.files.arrival import settle

    place = free_place()
    notify([scan])
    settle([scan])
    return place


def truth_layer(scan: Any, truth: Any, translate: tuple[float, float] = (0.0, 0.0)) -> LayerTuple:
    """Hidden Labels layer of the known microstructure: 1 ferrite, 2 martensite."""
    return layer_data(
        scan,
        truth,
        "truth",
        kind="labels",
        classes=(
            LabelClass(0, "none", "transparent"),
            LabelClass(1, "ferrite", "#1f77b4"),
            LabelClass(2, "martensite", "#ff7f0e"),
        ),
        translate=translate,
        visible=False,
    )
