"""Plausible wrong answers to the exercises of the chapter "Collecting without exposing"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # patients in place of pairs of patients
        """def my_digits(patients, risk):
    digits = 1
    while patients / 16**digits >= risk:
        digits += 1
    return digits""",
        # bits in place of hexadecimal digits
        """def my_digits(patients, risk):
    digits = 1
    while patients * (patients - 1) / 2 / 2**digits >= risk:
        digits += 1
    return digits""",
    ],
    "Exercise 2": [
        # compares names under both exponents with names under one
        """def my_size(twice, once, a):
    return len(set(twice) & set(once))""",
        # raises the wrong list
        """def my_size(twice, once, a):
    return len({pow(y, a, P) for y in twice} & set(once))""",
    ],
    "Exercise 3": [
        # counts rows, not patients
        """def my_k(rows, patients):
    groups = {}
    for row in rows:
        groups[row] = groups.get(row, 0) + 1
    return min(groups.values())""",
        # the largest group decides
        """def my_k(rows, patients):
    groups = {}
    for row, patient in zip(rows, patients, strict=True):
        groups.setdefault(row, set()).add(patient)
    return max(len(group) for group in groups.values())""",
    ],
    "Exercise 4": [
        # not modulo 2**64: the third share shows the size of the others
        """def my_shares(x, drawn):
    return [*drawn, x - sum(drawn)]""",
        # the sign is the other way round
        """def my_shares(x, drawn):
    return [*drawn, (sum(drawn) - x) % 2**64]""",
    ],
}
