"""Plausible wrong answers to the exercises of the chapter "K-Same-Select", each in place of the unsolved cell."""

WRONG = {
    "Exercise 1": [
        # the floor forgotten
        "def smallest_k(n, share):\n    return int(np.ceil(1 / share))",
        # the share of a single group
        "def smallest_k(n, share):\n    return max(1, round(n * share))",
    ],
    "Exercise 2": [
        # the means subtracted without their weights
        "def added(small, large, k):\n"
        "    return np.clip(large.astype(float) - small.astype(float), 0, 255).astype(np.uint8)",
        # right, but in 8-bit arithmetic, which wraps around
        "def added(small, large, k):\n    return (np.uint8(k + 1) * large) - (np.uint8(k) * small)",
    ],
    "Exercise 3": [
        # only what intersecting two groups leaves over
        "def exposed(groups, n):\n"
        "    pairs = [set(a) - set(b) for a in groups for b in groups if set(b) < set(a)]\n"
        "    return {min(left) for left in pairs if len(left) == 1}",
        # as many equations as patients in them
        "def exposed(groups, n):\n"
        "    people = set().union(*groups)\n"
        "    return people if len(groups) >= len(people) else set()",
    ],
}
