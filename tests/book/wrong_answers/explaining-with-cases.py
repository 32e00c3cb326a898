"""Plausible wrong answers to the exercises of the chapter "Explaining with cases", two for each; every self-check must
refuse them."""

WRONG = {
    "Exercise 1": [
        "def daily(p, k, n):\n    return n * k * p\n",
        "def daily(p, k, n):\n    return 1 - (1 - p) ** (k * n)\n",
    ],
    "Exercise 2": [
        "def quiet_nearest(distance, allowed, named):\n    return np.where(allowed, distance, np.inf).argmin(1)\n",
        "def quiet_nearest(distance, allowed, named):\n    return np.where(~named[None], distance, np.inf).argmin(1)\n",
    ],
    "Exercise 3": [
        "def transplant(x, t, u):\n    return np.clip((u.astype(int) + x) // 2, 0, 255).astype(np.uint8)\n",
        "def transplant(x, t, u):\n"
        "    return np.clip(u + np.abs(x.astype(int) - t), 0, 255).astype(np.uint8)\n",
    ],
}
