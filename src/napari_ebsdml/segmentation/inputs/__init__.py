"""Planes that models see: channels, their standardisation, crops of them."""
