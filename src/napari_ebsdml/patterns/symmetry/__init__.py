"""What a crystal is, told by the symmetry of its patterns alone: Laue group, lattice, phases."""
