"""PPRL-VGAN: losses, networks, training, and the privatizer."""
