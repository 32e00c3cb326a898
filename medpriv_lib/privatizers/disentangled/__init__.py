"""Disentanglement: networks, losses, training, identities that belong to nobody, probes, and the
privatizer.
"""
