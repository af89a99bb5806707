"""What is in a map: phases found from its patterns alone."""
