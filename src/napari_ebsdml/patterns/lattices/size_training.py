"""Training of the networks that tell the size of a lattice, on invented cubic crystals.

Crystals of every other system look the same to it: what it reads is one direction's bands at a
time. So each crystal is merged under m-3m or under one of its subgroups, whose directions have
fewer bands that are equivalent, and more noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml._atomic import replacing
from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.learning.plain_layers import layers_of
from napari_ebsdml.materials import ELEMENTS
from napari_ebsdml.patterns.crystals.library import Library, plan
from napari_ebsdml.patterns.crystals.structure import Structure
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import FINE, node_directions
from napari_ebsdml.patterns.lattices.fit import Guess
from napari_ebsdml.patterns.lattices.profiles import DIRECTIONS, NODES, Profiles, profiles_of
from napari_ebsdml.patterns.lattices.size import ANGLES, FACTORS, INPUTS, SizeModel, inputs_of
from napari_ebsdml.patterns.lattices.space_groups import centring
from napari_ebsdml.patterns.simulated.kinematic import Crystal, wavelength
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import (
    project_bands,
    random_quaternions,
    small_turns,
)
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of

Floats = NDArray[np.float64]

_MERGED = {"m-3m": 0.34, "4/mmm": 0.22, "-3m": 0.22, "mmm": 0.22}
_ABOUT_111 = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
_ANEW = 3
"""Epochs after which profiles are stretched by other factors."""


@dataclass(frozen=True)
class Recipe:
    """How the networks are trained.

    Attributes
    ----------
    draws
        Spheres of each dynamical crystal, in cameras, noise and orientations of their own.
    kinematical
        Spheres of crystals whose bands have plain edges; their profiles differ from real ones, so
        that no detail of a profile is trusted too much.
    held_out
        Every so manieth crystal only measures the errors.
    stretch
        Largest logarithm of a factor on all distances, so that sizes vary more than crystals do.
    """

    draws: int = 4
    kinematical: int = 650
    held_out: int = 10
    networks: int = 3
    width: int = 64
    epochs: int = 40
    batch: int = 128
    rate: float = 6e-3
    decay: float = 1e-3
    stretch: float = 0.15
    softness: float = 0.03
    seed: int = 2000


@dataclass(frozen=True, eq=False)
class Examples:
    """Profiles of many spheres, padded with zeros to `DIRECTIONS`.

    Attributes
    ----------
    crystal : (n,) int array
        Place in the library.
    values : (n, DIRECTIONS, nodes) array
    half_width, number : (n, DIRECTIONS) arrays
    """

    crystal: NDArray[np.int64]
    values: NDArray[np.float32]
    half_width: Floats
    number: Floats

    def only(self, which: NDArray[np.bool_]) -> Examples:
        """Some of them."""
        return Examples(
            self.crystal[which], self.values[which], self.half_width[which], self.number[which]
        )

    def profiles(self, at: int) -> Profiles:
        """Those of one sphere."""
        known = self.number[at] > 0
        return Profiles(
            self.values[at][known].astype(np.float64), self.half_width[at][known],
            self.number[at][known].astype(np.int64),
        )  # fmt: skip


def _sphere(
    master: NDArray[np.floating], rng: np.random.Generator, group: str, about: Floats
) -> MeasuredSphere:
    number, size = int(rng.integers(8, 31)), int(rng.choice([60, 60, 60, 60, 120]))
    centre = rng.uniform((0.4, 0.15, 0.45), (0.6, 0.5, 0.7))
    true = Geometry.from_angles(centre, (size, size), 70, 5)
    q = random_quaternions(rng, number)
    bands = project_bands(master[None], np.zeros(number, np.intp), q, true)
    images = expose(bands, rng, (0.2, 1.1), float(rng.uniform(0, 1.4)) * size / 60)
    flat, valid = flat_images(images)
    q = multiply(to_kikuchipy(q), small_turns(rng, number, rng.uniform(0.1, 0.7)))
    frames = np.swapaxes(to_matrix(q) @ true.to_sample, 1, 2)
    return MeasuredSphere.merged(views_of(flat, valid, true.bounds), frames @ about.T, group)


def _kinematical(structure: Structure, energy: float) -> NDArray[np.float32]:
    """Folded master pattern of a cubic structure by plain bands."""
    a = structure.a
    sites = tuple((ELEMENTS.index(s.element) + 1, s.position) for s in structure.sites)
    cell = (a, a, a, 90.0, 90.0, 90.0)
    made = Crystal(structure.name, structure.space_group, cell, sites, 0.5, energy)
    values = made.intensities(node_directions(FINE))
    return np.asarray((values - values.mean()) / values.std(), np.float32)


def _drawn(
    library: Library, seed: int, kinematical: int | None = None
) -> Iterator[tuple[int, Profiles]]:
    """Place of each invented crystal in the library, and profiles of one sphere of it."""
    structures = {structure.name: structure for structure, _ in plan()}
    order = np.random.default_rng(seed).permutation(len(library))
    order = order[~library.is_real[order]]
    for k in order if kinematical is None else order[:kinematical]:
        structure, energy = structures[library.names[k]], float(library.energies[k])
        rng = np.random.default_rng([seed, k])
        group = str(rng.choice(list(_MERGED), p=list(_MERGED.values())))
        about = _ABOUT_111 if group == "-3m" else np.eye(3)
        master = library.masters[k] if kinematical is None else _kinematical(structure, energy)
        sphere = _sphere(master, rng, group, about)
        yield int(k), _profiles(sphere, structure, about, wavelength(energy) / 2)


def _profiles(
    sphere: MeasuredSphere, structure: Structure, about: Floats, half_wave: float
) -> Profiles:
    letter = centring(structure.space_group)
    guess = Guess(0.0, np.full(3, structure.a), letter, about.T)
    return profiles_of(sphere, guess, half_wave, "cubic")


def examples(recipe: Recipe, work: Path, said: Callable[[str], None] = lambda _: None) -> Examples:
    """Profiles of all spheres; those of each draw are kept in the work folder."""
    library = Library.load()
    work.mkdir(parents=True, exist_ok=True)
    # The seed of spheres that are kinematical is the tenth after.
    draws: list[tuple[int, int | None]] = [(recipe.seed + n, None) for n in range(recipe.draws)]
    draws.append((recipe.seed + 10, recipe.kinematical))
    parts: list[dict[str, NDArray[Any]]] = []
    for seed, kinematical in draws:
        path = work / f"{seed}.npz"
        if not path.exists():
            with replacing(path) as part, part.open("wb") as file:
                np.savez(file, **_padded(list(_drawn(library, seed, kinematical))))  # type: ignore[arg-type]
            said(f"{path.name}: spheres of {'dynamical' if kinematical is None else 'plain'} bands")
        with np.load(path) as kept:
            parts.append(dict(kept))
    return Examples(*(
        np.concatenate([part[name] for part in parts])
        for name in ("crystal", "values", "half_width", "number")
    ))  # fmt: skip


def _padded(found: list[tuple[int, Profiles]]) -> dict[str, NDArray[Any]]:
    values = np.zeros((len(found), DIRECTIONS, len(NODES) - 1), np.float32)
    half_width, number = np.zeros((2, len(found), DIRECTIONS))
    for k, (_, one) in enumerate(found):
        many = len(one.number)
        values[k, :many], half_width[k, :many], number[k, :many] = (
            one.values, one.half_width, one.number,
        )  # fmt: skip
    crystal = np.array([k for k, _ in found])
    return {"crystal": crystal, "values": values, "half_width": half_width, "number": number}


def _stretched(values: NDArray[np.float32], factors: Floats) -> NDArray[np.float32]:
    """Profiles with all distances multiplied."""
    out = np.empty_like(values)
    for sphere, factor, made in zip(values, factors, out, strict=True):
        for row, new in zip(sphere, made, strict=True):
            new[:] = np.interp(NODES[:-1] / factor, NODES[:-1], row, right=0)
    return out


def _network(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(len(INPUTS), width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
        nn.Linear(width, len(ANGLES)),
    )  # fmt: skip


def _summed(network: nn.Module, inputs: Tensor, middle: Tensor, counts: Tensor) -> Tensor:
    """Logits (n, factors) of sizes: those of each direction's angles, summed."""
    logits = network(inputs) * counts[..., None]
    step = ANGLES[1] - ANGLES[0]
    at = (middle[..., None] + torch.as_tensor(FACTORS, dtype=torch.float32) - ANGLES[0]) / step
    at = at.clamp(0, len(ANGLES) - 1.001)
    low = at.floor().long()
    part = at - low
    return (logits.gather(2, low) * (1 - part) + logits.gather(2, low + 1) * part).sum(1)


def _trained(made: Examples, recipe: Recipe, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = _network(recipe.width)
    number = len(made.crystal)
    batches = number // recipe.batch + 1
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=recipe.epochs * batches
    )
    there = made.number > 0
    for epoch in range(recipe.epochs):
        if epoch % _ANEW == 0:
            factors = np.exp(rng.uniform(-recipe.stretch, recipe.stretch, number))
            moved = Examples(
                made.crystal, _stretched(made.values, factors),
                made.half_width * factors[:, None], made.number,
            )  # fmt: skip
            inputs = np.zeros((number, DIRECTIONS, len(INPUTS)), np.float32)
            for k in range(number):
                inputs[k, there[k]] = inputs_of(moved.profiles(k))
        noisy = inputs + rng.normal(0, 0.03, inputs.shape).astype(np.float32)
        off = rng.uniform(-0.3, 0.3, number)
        middle = np.log(np.maximum(moved.half_width, 1e-4)) - off[:, None]
        # Some directions are left out, so that no few of them decide.
        counts = there & (rng.random(there.shape) > 0.1)
        wanted = np.exp(-0.5 * ((FACTORS - off[:, None]) / recipe.softness) ** 2)
        wanted /= wanted.sum(axis=1, keepdims=True)
        for batch in np.array_split(rng.permutation(number), batches):
            x, m, c, w = (
                torch.as_tensor(v[batch], dtype=torch.float32)
                for v in (noisy, middle, counts, wanted)
            )
            told = torch.log_softmax(_summed(network, x, m, c), 1)
            loss = -(w * told).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network


def train(
    recipe: Recipe, work: Path, said: Callable[[str], None] = lambda _: None
) -> tuple[SizeModel, dict[str, Any]]:
    """Train the networks; the model, and its card.

    Parameters
    ----------
    recipe
    work
        Folder of spheres that are made already.
    said
        Called with a sentence now and then.
    """
    made = examples(recipe, work, said)
    names = np.unique(made.crystal)
    held = np.isin(made.crystal, names[:: recipe.held_out])
    taught = made.only(~held)
    networks = []
    for n in range(recipe.networks):
        network = _trained(taught, recipe, recipe.seed + n)
        networks.append(layers_of(network))
        said(f"network {n + 1} of {recipe.networks}")
    model = SizeModel(tuple(networks))
    dynamical = np.arange(len(made.crystal)) < len(made.crystal) - recipe.kinematical
    errors, told = [], []
    for k in np.flatnonzero(held & dynamical):
        size = model.tell(made.profiles(int(k)))
        errors.append(np.log(size.factor))
        told.append(size.error)
    ratio = np.abs(errors) / np.array(told)
    # Nine in ten lie within 1.645 of a standard error.
    widening = float(np.quantile(ratio, 0.9) / 1.645)
    model = SizeModel(model.networks, widening)
    card = {
        "training": {"recipe": asdict(recipe), "spheres": len(taught.crystal)},
        "metrics": {
            "held out": len(errors), "mean log": round(float(np.mean(errors)), 4),
            "sd of log": round(float(np.std(errors)), 4),
            "within 5 %": round(float(np.mean(np.abs(errors) < 0.05)), 3),
            "widening": round(widening, 3),
        },
        "about": {
            "title": "Size of a lattice from profiles of its bands",
            "licence": "GPL-3.0-or-later", "authors": ["napari-ebsdml contributors"],
            "use": "Told by find_lattice. Trained on invented cubic crystals of 2.5 to 12 angstrom "
            "at 15 to 30 kV.",
        },
    }  # fmt: skip
    return model, card
