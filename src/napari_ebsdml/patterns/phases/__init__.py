"""What phases a map has, found from its patterns with nothing known."""
