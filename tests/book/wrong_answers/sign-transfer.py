"""Plausible wrong answers to the exercises of the chapter "Sign transfer: evidence without a lender"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # takes white for every pixel, also for those that the sign darkens
        """def my_least_alpha(s, y):
    return np.abs(y - s) / (255.0 - s)""",
        # divides by the whole range and not by what is left of it
        """def my_least_alpha(s, y):
    return np.abs(y - s) / 255.0""",
    ],
    "Exercise 2": [
        # another stranger for the twin
        """def my_e(x, t, mask, release_of):
    sign = (x - t) * mask
    change = release_of(x, 0) - release_of(t, 1)
    return (change * sign).sum() / (sign**2).sum()""",
        # all differences of image and twin, not those of the signs alone
        """def my_e(x, t, mask, release_of):
    sign = x - t
    change = release_of(x, 0) - release_of(t, 0)
    return (change * sign).sum() / (sign**2).sum()""",
    ],
    "Exercise 3": [
        # a share of all images, the ill among them
        """def my_floor(peak, ill, share):
    ordered = np.sort(peak)[::-1]
    return ordered[int(np.floor(share * len(ordered) + 1e-9))]""",
        # the share of the ill that is lost, where the share of the healthy was asked
        """def my_floor(peak, ill, share):
    ordered = np.sort(peak[ill])
    return ordered[int(np.floor(share * len(ordered)))]""",
    ],
    "Exercise 4": [
        # the slope itself, which is 1 - alpha
        """def my_layer(releases, strangers):
    s, r = strangers - strangers.mean(axis=0), releases - releases.mean(axis=0)
    slope = (s * r).sum(axis=0) / (s**2).sum(axis=0)
    return slope, releases.mean(axis=0) - slope * strangers.mean(axis=0)""",
        # the mean difference is alpha (v - s), which still holds the strangers
        """def my_layer(releases, strangers):
    change = (releases - strangers).mean(axis=0)
    return np.abs(change) / 255, change""",
    ],
}
