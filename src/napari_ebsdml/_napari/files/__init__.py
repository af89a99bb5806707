"""Reading and writing files, samples, and the layers of a map."""
