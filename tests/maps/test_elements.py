"""Which maps of a scan are element counts."""

from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml.maps.elements import element_counts, element_line, element_names


def scan_with(**maps):
    shape = (2, 3)
    return ebsdml.Scan(
        quaternions=np.tile([1.0, 0, 0, 0], (*shape, 1)), phase_id=np.zeros(shape, int),
        phases=PhaseList(Phase("x", point_group="m-3m")), step=(1.0, 1.0),
        prop={name.replace("_", " "): np.full(shape, value) for name, value in maps.items()},
    )  # fmt: skip


@pytest.mark.parametrize(("name", "line"), [
    ("Window Integral Fe Ka1", "Fe K"), ("EDS2 Window Integral Ni La1", "Ni L"),
    ("Window Integral O K series", "O K"), ("Titanium K", "Ti K"), ("Aluminum K", "Al K"),
    ("Aluminium K", "Al K"), ("Fe-K", "Fe K"), ("FeK", "Fe K"), ("Ni Kα1", "Ni K"),
    ("O K", "O K"), ("TaM", "Ta M"), ("Peak Area Cr Ka1", "Cr K"), ("Fe K counts", "Fe K"),
])  # fmt: skip
def test_names_of_every_vendor(name, line):
    assert element_line(name)[0] == line


@pytest.mark.parametrize("name", [
    "BC", "MAD", "CI", "IQ", "Fit", "KAM", "OK", "CL", "C L", "Composition Fe", "Composition Fe K",
    "SEM Signal", "Error", "fe k", "Bands", "Radial Distance", "Fe M", "Iron", "K", "",
])  # fmt: skip
def test_other_maps_are_no_counts(name):
    assert element_line(name) is None


def test_counts_of_two_detectors_are_added_up():
    scan = scan_with(BC=9.0, Window_Integral_Fe_Ka1=2.0, EDS2_Window_Integral_Fe_Ka1=3.0,
                     Window_Integral_Cr_Ka1=np.nan, Window_Integral_Ni_Ka1=1.0,
                     Peak_Area_Fe_Ka1=50.0)  # fmt: skip
    assert element_names(scan) == ("Fe K", "Cr K", "Ni K")
    found = element_counts(scan)
    # Nothing was counted of chromium, and peak areas are not counts as measured.
    assert found.lines == ("Fe K", "Ni K")
    assert found.properties[0] == ("Window Integral Fe Ka1", "EDS2 Window Integral Fe Ka1")
    np.testing.assert_array_equal(found.counts[0, 0], [5.0, 1.0])


def test_a_map_without_counts():
    assert element_counts(scan_with(BC=9.0, MAD=0.3)) is None
    assert element_names(scan_with(BC=9.0)) == ()
    only = element_counts(scan_with(Peak_Area_Fe_Ka1=3.0))
    assert only.lines == ("Fe K",)
