"""Dock "Pattern viewer"."""
