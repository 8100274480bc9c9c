"""Two-dimensional embeddings of small data sets by classical methods, measured and drawn alike."""
