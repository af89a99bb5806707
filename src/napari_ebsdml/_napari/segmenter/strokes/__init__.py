"""Painted strokes: their layers, classes, keys, files, and where the next stroke helps most."""
