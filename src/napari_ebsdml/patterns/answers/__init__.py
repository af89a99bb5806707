"""What a classifier answers, and how answers are compared."""
