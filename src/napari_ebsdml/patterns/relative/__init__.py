"""Rotations between the patterns of a grain, much finer than indexing tells them; no torch."""
