"""Looking into the crystals of a map: grains, pole figures, profiles."""
