"""Plausible wrong answers to the exercises of the chapter "Differential privacy, the patient as unit"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # cuts each image: a patient with many images moves the sum by more than the bound
        """def my_sum(gradients, patients, bound):
    length = np.linalg.norm(gradients, axis=1, keepdims=True)
    return (gradients * np.minimum(1, bound / length)).sum(axis=0)""",
        # stretches short gradients too
        """def my_sum(gradients, patients, bound):
    total = np.zeros(gradients.shape[1])
    for one in np.unique(patients):
        mean = gradients[patients == one].mean(axis=0)
        total += mean * bound / np.linalg.norm(mean)
    return total""",
    ],
    "Exercise 2": [
        # the noise for its square
        """def my_epsilon(noise, steps, delta):
    rho = steps / (2 * noise)
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))""",
        # steps forgotten
        """def my_epsilon(noise, steps, delta):
    rho = 1 / (2 * noise**2)
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))""",
    ],
    "Exercise 3": [
        # takes the multiplier for a variance
        """def my_noise_left(noise, sites, lost):
    return noise * (sites - lost) / sites""",
        # more noise where sites are lost: that is what to plan, not what is left
        """def my_noise_left(noise, sites, lost):
    return noise * math.sqrt(sites / (sites - lost))""",
    ],
}
