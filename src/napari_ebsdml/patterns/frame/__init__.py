"""From pixels of a pattern to directions of the crystal."""
