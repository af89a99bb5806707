"""The lattice of a crystal whose Laue group is known, from the bands of its patterns."""
