"""Layers of maps in a viewer, their classes, keys and figures. Imports no dock."""
