"""Patterns made from master patterns."""
