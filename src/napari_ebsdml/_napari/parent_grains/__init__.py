"""Dock "Parent grains"."""
