"""What comes out, how sure it is, and how good."""
