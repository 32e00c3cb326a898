"""Plausible wrong answers to the exercises of the chapter "Blur", each in place of the unsolved cell."""

WRONG = {
    "Exercise 1": [
        # widths add
        "def sigma_of_both(first, second):\n    return first + second",
        # the stronger blur wins
        "def sigma_of_both(first, second):\n    return max(first, second)",
    ],
    "Exercise 2": [
        # standard deviations added
        "def readable(kernel, noise):\n"
        "    return (gain(kernel) ** 2 * S > V * (1 + 12**0.5 * noise) ** 2).mean()",
        # a variance taken for a standard deviation
        "def readable(kernel, noise):\n    return (gain(kernel) ** 2 * S > V * (1 + 12 * noise)).mean()",
    ],
    "Exercise 3": [
        # the logarithm left out
        "def guess_kernel(image):\n"
        "    def likelihood(kernel):\n"
        "        D = gain(kernel) ** 2 * S + V\n"
        "        return -((cosines(image) - gain(kernel) * cosines(mean_eye)) ** 2 / D).sum()\n"
        "    return max(KERNELS, key=likelihood)",
        # the blurred mean eye that lies nearest
        "def guess_kernel(image):\n"
        "    return min(KERNELS, key=lambda k: ((cosines(image) - gain(k) * cosines(mean_eye)) ** 2).sum())",
    ],
}
