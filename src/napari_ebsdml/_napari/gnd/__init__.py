"""Dock "GND density"."""
