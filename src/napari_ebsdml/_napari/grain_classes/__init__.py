"""Dock "Grain classes"."""
