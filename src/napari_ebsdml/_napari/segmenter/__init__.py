"""Dock "U-Net segmenter": paint strokes, train a U-Net, segment every map."""
