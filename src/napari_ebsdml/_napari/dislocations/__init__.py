"""Dock "Dislocation density"."""
