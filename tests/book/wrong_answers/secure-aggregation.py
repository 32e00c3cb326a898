"""Plausible wrong answers to the exercises of the chapter "Secure aggregation"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the bound of one site's number, not of the sum
        """def my_fraction(sites, patients, largest):
    bits = 0
    while patients * largest * 2 ** (bits + 1) < 2**63:
        bits += 1
    return bits""",
        # forgets the sign
        """def my_fraction(sites, patients, largest):
    bits = 0
    while sites * patients * largest * 2 ** (bits + 1) < 2**64:
        bits += 1
    return bits""",
    ],
    "Exercise 2": [
        # any majority, whoever colludes
        """def my_threshold(sites, dropouts, colluders):
    for t in range(max(colluders + 2, sites // 2 + 1), sites - dropouts + 1):
        return t
    return None""",
        # a sum with one honest site among colluders is that site's update
        """def my_threshold(sites, dropouts, colluders):
    for t in range(colluders + 1, sites - dropouts + 1):
        if 2 * t - sites - 1 >= colluders:
            return t
    return None""",
    ],
    "Exercise 3": [
        # a difference of means, as if all hospitals had one patient altogether
        """def my_missing(mean_all, count_all, mean_without, count_without):
    return mean_all - mean_without""",
        # the sum's part, which still counts the hospital's patients
        """def my_missing(mean_all, count_all, mean_without, count_without):
    return count_all * mean_all - count_without * mean_without""",
    ],
}
