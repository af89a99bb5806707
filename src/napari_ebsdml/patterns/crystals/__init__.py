"""Crystals and their simulated master patterns."""
