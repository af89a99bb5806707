"""Dock "EBSD maps"."""
