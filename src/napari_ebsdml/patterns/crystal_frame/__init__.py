"""The classifier that reads patterns in the frame of the crystal."""
