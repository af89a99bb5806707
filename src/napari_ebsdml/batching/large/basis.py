"""What both densities of a large map begin with: its phases, slip systems, grains and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.maps import labelled
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.dislocations.gnd.bands import NOISE_HALO, Part
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise, given_noise, measure_noise
from napari_ebsdml.dislocations.gnd.phase_choice import choose_systems, noise_by_phase
from napari_ebsdml.dislocations.gnd.second_differences import (
    band_differences,
    count_band,
    joined_bands,
    tiles_of_bands,
)
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import MissingDataError

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Basis:
    """What is known of a large map before a density is asked for.

    Attributes
    ----------
    large
    grains
        Name of the array of their labels.
    systems
        Slip systems by phase id.
    given
        Orientation noise in degrees by phase id, where it is known.
    notes
        Sentences on the slip systems.
    client
        See `over_bands`.
    """

    large: LargeMap
    grains: str
    systems: dict[int, SlipSystems]
    given: dict[int, float | None]
    notes: tuple[str, ...]
    client: Client | None

    @classmethod
    def of(
        cls, large: LargeMap, what: str, slip_systems: Any,
        orientation_noise: float | Mapping[int | str, float] | None,
        grain_threshold: float, min_pixels: int, progress: Progress, client: Client | None,
    ) -> Basis:  # fmt: skip
        """Choose slip systems and segment the grains.

        Parameters
        ----------
        large
        what
            Density that is asked for, in words.
        slip_systems, orientation_noise, grain_threshold, min_pixels
            As `napari_ebsdml.gnd_density` takes them.
        progress, client
            See `over_bands`.

        Raises
        ------
        InputError
            When an argument is out of range.
        MissingDataError
            When the map has no orientations.
        """
        present = large.present()
        if not present:
            raise MissingDataError(f"{large.head.name} has no orientations, which {what} needs.")
        systems, notes = choose_systems(large.head, slip_systems, present)
        given = noise_by_phase(large.scan, orientation_noise, present)
        grains = labelled(large, grain_threshold, min_pixels, progress, client)
        return cls(large, grains, systems, given, notes, client)

    def noise(self, number: int, progress: Progress) -> OrientationNoise:
        """Noise of a phase, as given, or measured where that of the whole map would be."""
        found, sigma = self.measured_noise(number, progress), self.given.get(number)
        if sigma is None:
            return found
        assert found.differences is not None
        return given_noise(sigma, found.differences)

    def measured_noise(self, number: int, progress: Progress) -> OrientationNoise:
        """Noise of a phase, measured where that of the whole map would be."""
        large = self.large
        bands = large.bands(NOISE_HALO)
        counts = over_bands(
            _count, large, bands, (self.grains, number), part_of(progress, 0.0, 0.5), self.client
        )
        found = over_bands(
            _differences, large, bands, (self.grains, number, tiles_of_bands(counts)),
            part_of(progress, 0.5), self.client,
        )  # fmt: skip
        return measure_noise(joined_bands(counts, found))


def part_of_map(large: LargeMap, band: Band, grains: str) -> Part:
    """Rows of a map, with the labels of their grains."""
    return Part(large.band(band.read), large.read(grains, band.read), band.read.start, band.keep)


def _count(large: LargeMap, band: Band, grains: str, number: int) -> Any:
    part = part_of_map(large, band, grains)
    phase = large.head.phases[number]
    return count_band(*part.of_phase(number), part.first, part.keep, large.shape, phase)


def _differences(
    large: LargeMap, band: Band, grains: str, number: int, chosen: Any
) -> Any:  # fmt: skip
    part = part_of_map(large, band, grains)
    phase = large.head.phases[number]
    return band_differences(
        *part.of_phase(number), part.first, part.keep, large.shape, phase, chosen
    )
