"""The search for orientations and camera, without torch."""
