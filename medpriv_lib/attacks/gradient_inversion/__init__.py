"""From the gradients that a site sends in a training, back to the images that it computed them on.

No attack on a release: the attacker here is whoever reads one step's update of a network
whose weights the attacker knows, such as the coordinator of a federated training. `invert` is the
attack; all else are its parts.
"""
