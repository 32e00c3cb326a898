"""An invented register of a hospital's patients: nobody in there lives.

What is drawn here is no secret, so a generator is passed; what hides never comes from one.
"""

import datetime

import numpy as np

BIRTHS = datetime.date(1930, 1, 1)
FIRST_VISIT, DAYS = datetime.date(2025, 1, 1), 365
DIAGNOSES = ("none", "cataract", "glaucoma", "diabetic retinopathy", "dry eye")
TOWNS = 40  # postcodes; one in eight patients lives in the first
Register = dict[str, list]


def register(rng: np.random.Generator, patients: int, visits: float = 1.5) -> Register:
    """Return a register with a row for each visit, in random order.

    Columns: "number", the patient's national number (day, month, year of birth, and four digits);
    "age" in years at the visit, "sex", "postcode", "visit" (a day of 2025) and "diagnosis".
    `visits` is the mean number of a patient's visits, 1 at least. Diagnoses follow age, and in the
    last towns the dry eye is frequent. Raises `ValueError` for no patient, or fewer visits than
    patients.
    """
    if patients < 1 or visits < 1:
        raise ValueError(f"{patients} patients with {visits} visits each: take 1 or more of both")
    born = np.minimum(rng.gamma(4.5, 3400, patients).astype(int), 34_000)
    town = np.minimum(rng.geometric(0.125, patients) - 1, TOWNS - 1)
    sex = rng.choice(["F", "M"], patients, p=[0.55, 0.45])
    ending = rng.permutation(10_000)[:patients] if patients <= 10_000 else None
    ending = rng.integers(0, 10_000, patients) if ending is None else ending
    rows: Register = {name: [] for name in ("number", "age", "sex", "postcode", "visit")}
    rows["diagnosis"] = []
    for person in range(patients):
        birth = BIRTHS + datetime.timedelta(days=int(born[person]))
        diagnosis = _diagnosis(rng, 2025 - birth.year, int(town[person]))
        for day in rng.choice(DAYS, 1 + rng.poisson(visits - 1), replace=False):
            visit = FIRST_VISIT + datetime.timedelta(days=int(day))
            rows["number"].append(f"{birth:%d%m%y}-{ending[person]:04d}")
            rows["age"].append((visit - birth).days // 365)
            rows["sex"].append(str(sex[person]))
            rows["postcode"].append(f"{44000 + 37 * int(town[person])}")
            rows["visit"].append(visit.isoformat())
            rows["diagnosis"].append(diagnosis)
    order = rng.permutation(len(rows["number"]))
    return {name: [column[i] for i in order] for name, column in rows.items()}


def numbers(rng: np.random.Generator, each: int, shared: int) -> tuple[list[str], list[str]]:
    """Return the national numbers of two hospitals with `each` patients, `shared` of them in both.

    Raises `ValueError` where more are shared than there are.
    """
    if not 0 <= shared <= each or each < 1:
        raise ValueError(f"{shared} shared of {each} patients: 0 to {each} can be shared")
    people = rng.choice(36_500 * 10_000, 2 * each - shared, replace=False, shuffle=True)
    written = [
        f"{BIRTHS + datetime.timedelta(days=int(one) // 10_000):%d%m%Y}-{int(one) % 10_000:04d}"
        for one in people
    ]
    mine, theirs = written[:each], written[each - shared :]
    return mine, [theirs[i] for i in rng.permutation(each)]


def _diagnosis(rng: np.random.Generator, age: int, town: int) -> str:
    old = float(np.clip((age - 40) / 45, 0, 1))
    weight = np.array([1.2, 1.4 * old, 0.5 * old, 0.4 * old, 2.0 if town > 20 else 0.15])
    return DIAGNOSES[int(rng.choice(len(DIAGNOSES), p=weight / weight.sum()))]
