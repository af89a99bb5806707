"""What was painted: classes, spreading through grains, folds of whole grains."""
