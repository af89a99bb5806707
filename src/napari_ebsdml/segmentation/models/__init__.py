"""Discriminant, network, forest and threshold, and their files."""
