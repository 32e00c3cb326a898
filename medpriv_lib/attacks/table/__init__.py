"""Attacks on what a pipeline of feature vectors shows: the vectors, the model, the sites' sums."""
