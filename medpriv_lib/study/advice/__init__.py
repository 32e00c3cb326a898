"""Which method? Four questions, rules that are data, and what an attacker reached."""
