"""Plausible wrong answers to the exercises of the chapter "Gradient inversion"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the first unit may be dead
        """def my_input(grad_w, grad_b):
    return grad_w[0] / grad_b[0]""",
        # the largest signed entry: a dead unit is larger than one that pulls down
        """def my_input(grad_w, grad_b):
    unit = grad_b.argmax()
    return grad_w[unit] / grad_b[unit]""",
    ],
    "Exercise 2": [
        # forgets that the gradient is a mean over the batch
        """def my_times(grad_b, count, expected):
    return (expected - grad_b).round().long()""",
        # counts the negative entries, as for a single image
        """def my_times(grad_b, count, expected):
    return count * (grad_b < 0).long()""",
    ],
    "Exercise 3": [
        # all quotients, mixtures among them
        """def my_images(grad_w, grad_b):
    return grad_w / grad_b[:, None]""",
        # every unit with a twin, so that each image comes twice
        """def my_images(grad_w, grad_b):
    quotients = grad_w / grad_b[:, None]
    apart = torch.cdist(quotients, quotients)
    return quotients[(apart < 0.1).sum(1) > 1]""",
    ],
}
