"""Arrays in, numbers out: what a release keeps, and what it hides, by fixed judges."""
