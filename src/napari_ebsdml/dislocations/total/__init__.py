"""Total dislocation density from the orientations themselves."""
