"""Variants that lie near each other take their neighbours' side; others do not."""

from __future__ import annotations

import numpy as np

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.grains.parents.near_variants import smoothed
from napari_ebsdml.grains.parents.pixels import variants_of
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.relationships import named_relationship


def test_neighbours_tell_near_variants_apart() -> None:
    relationship = named_relationship("Greninger-Troiano")
    table = relationship.variants.quaternions
    to_first = np.array([disorientation_angle(v, table[0], relationship.child) for v in table])
    near = int(np.argsort(to_first)[1])
    far = int(np.argmax(to_first))
    assert to_first[near] < 6 < 40 < to_first[far]
    true = np.full((24, 30), 1, np.uint8)
    true[:, 15:] = near + 1
    true[10, 7] = far + 1
    rng = np.random.default_rng(0)
    vector = np.deg2rad(1.5) * rng.normal(size=(*true.shape, 3))
    noise = np.concatenate([np.ones((*true.shape, 1)), vector / 2], axis=-1)
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    parent = np.array([0.9, 0.3, -0.2, 0.25])
    parent /= np.linalg.norm(parent)
    q = multiply(noise, multiply(table[true - 1], parent))
    ids, parents = np.ones(true.shape, np.int32), np.stack([np.zeros(4), parent])
    local = np.zeros(true.shape, np.int32), parents[:1]
    nowhere = np.zeros(true.shape, bool)
    raw, _ = variants_of(relationship, q, ids, parents, local, nowhere)
    kept = smoothed(relationship, q, ids, parents, local, raw)
    before, after = ((x == true).mean() for x in (raw, kept))
    assert before < 0.97
    assert after > before + 0.02
    assert after > 0.985
    assert kept[10, 7] == far + 1
    # Without a parent, or without a variant, nothing is given.
    ids[:, :3], raw[:, 3] = 0, 0
    assert (smoothed(relationship, q, ids, parents, local, raw)[:, 3] == 0).all()
