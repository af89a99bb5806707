"""The dock "Crystals": what is in a map, and the space groups of what is there."""
