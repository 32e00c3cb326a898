"""Which method? Four questions, rules that are data, and the attacker's figure beside each answer."""
