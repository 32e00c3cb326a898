"""Plausible wrong answers to the exercises of the chapter "Encrypted inference"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # both parties add e f, so that the sum holds it twice
        """def my_product(party, e, f, a, b, c):
    return c + e * b + a * f + e * f""",
        # forgets that e f is public and belongs to the product
        """def my_product(party, e, f, a, b, c):
    return c + e * b + a * f""",
    ],
    "Exercise 2": [
        # four comparisons for the largest of four numbers
        """def my_comparisons(channels, side, relu_first):
    numbers = channels * side * side
    return numbers + (numbers if relu_first else numbers // 4)""",
        # ReLU on every number in either order
        """def my_comparisons(channels, side, relu_first):
    numbers = channels * side * side
    return 3 * (numbers // 4) + numbers""",
    ],
    "Exercise 3": [
        # takes every r with its highest bit for one that wraps
        """def my_wrapped(z, r_top):
    return r_top""",
        # the highest bit of z says that z is large, which is when the sum did not wrap
        """def my_wrapped(z, r_top):
    return r_top * (z >> 63)""",
    ],
    "Exercise 4": [
        # bytes are not bits
        """def my_seconds(rounds, bytes_each, bits_per_second, delay):
    return rounds * delay + max(bytes_each) / bits_per_second""",
        # the two directions of the line do not wait for each other
        """def my_seconds(rounds, bytes_each, bits_per_second, delay):
    return rounds * delay + 8 * sum(bytes_each) / bits_per_second""",
    ],
}
