"""Scores of a release: what the judges still see. Nothing here imports a privatizer."""
