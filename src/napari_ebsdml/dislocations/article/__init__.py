"""Total density the way of the article: simulated lines, and a network on the GND of planes."""
