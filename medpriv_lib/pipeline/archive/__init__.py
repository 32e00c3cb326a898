"""Archives privatised part by part, in several processes or on a cluster."""
