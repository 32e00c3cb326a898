"""Plausible wrong answers to the exercises of the chapter "Deep Taylor", two for each; every self-check must
refuse them."""

WRONG = {
    "Exercise 1": [
        # biases of both signs in the denominator
        "def z_plus_with_bias(a, W, b, R):\n"
        "    share = a[:, None] * np.maximum(W, 0)\n"
        "    return (share / (share.sum(0) + b)) @ R\n",
        # the rule without biases
        "def z_plus_with_bias(a, W, b, R):\n"
        "    share = a[:, None] * np.maximum(W, 0)\n"
        "    return (share / share.sum(0)) @ R\n",
    ],
    "Exercise 2": [
        # the box of the chapter in place of the one that is given
        "def z_box(x, W, R, low, high):\n    return z_box_by_hand(x, W, R)\n",
        # the lower end for both signs
        "def z_box(x, W, R, low, high):\n"
        "    share = (x - low)[:, None] * W\n"
        "    return (share / share.sum(0)) @ R\n",
    ],
    "Exercise 3": [
        # every eye's own map
        "def mass_of_the_mean_map(maps, masks):\n    return relevance_mass(maps, masks).mean()\n",
        # one mask for all as well
        "def mass_of_the_mean_map(maps, masks):\n"
        "    union = masks.any(0)\n"
        "    return maps.mean(0)[union].sum() / maps.mean(0).sum()\n",
    ],
    "Exercise 4": [
        # everywhere, not only inside the mask
        "def evidence(released, released_twin, x, t, mask):\n"
        "    return ((released - released_twin) * (x - t)).sum() / ((x - t) ** 2).sum()\n"
        "e_of_half_and_half = 0.5\n",
        # a correlation, which cannot leave [-1, 1]
        "def evidence(released, released_twin, x, t, mask):\n"
        "    d, s = (released - released_twin)[mask], (x - t)[mask]\n"
        "    return d @ s / np.sqrt((d @ d) * (s @ s)) if d.any() else 0.0\n"
        "e_of_half_and_half = 0.5\n",
    ],
}
