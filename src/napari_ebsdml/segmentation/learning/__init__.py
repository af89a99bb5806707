"""The training of a network on what the discriminant leaves over."""
