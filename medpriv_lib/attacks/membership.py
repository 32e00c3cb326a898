"""Membership: was this patient among those whom the generator was trained on, or whose images are
in the gallery?

That somebody was a member can itself be a diagnosis. The unit is the patient, who brings several
images; and a mean over patients hides those whose membership is all but sure (Knolle et al. 2026
found such patients for diagnostic networks while the mean did not look different from guessing). So
the distribution over patients is reported.

Non-members have to be made where images are split and all patients are members:
- `against_patients`: non-members are other people, from a second cohort of the same source (here:
  rendered with another seed), or patients held out before training. The model is fixed, so a
  patient who is easy to tell from the others for any other reason counts too; calibration by a
  reference set takes the largest part of that away.
- `against_images`: the images of the same patient that were and were not trained on. It asks a
  narrower question, "was this image a training image", with the patient as his own control.
- `inside_and_outside`: the method is run many times with random halves of the patients, so that
  everybody is in about half of the runs and outside in the others. It is the clean experiment, and
  cheap where a method has no training; a network would have to be trained once per run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.copying import closer, nearest
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.core.intervals import mean_interval, mean_per_patient
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.per_patient import worst_decile

SIMULATIONS = 200


def nearness(
    images: Float[np.ndarray, "n d"],
    shown: Float[np.ndarray, "m d"],
    reference: Float[np.ndarray, "r d"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Return a score per image, larger for members: how near the model's output comes to it.

    Minus the distance to the nearest shown image (the full black-box attack of Chen et al. 2020,
    "GAN-Leaks"); with a `reference` of images that are of no member, less the same for the
    reference, which calibrates away how ordinary the image is. All are rows of one embedding.
    """
    score = -nearest(images, shown).distance
    return score if reference is None else score + nearest(images, reference).distance


def area(inside: Float[np.ndarray, " n"], outside: Float[np.ndarray, " m"]) -> float:
    """Return the probability that a member's score is above a non-member's, ties counted half: the
    AUC.
    """
    return closer(-np.asarray(inside, dtype=np.float64), -np.asarray(outside, dtype=np.float64))


def accepted(inside: np.ndarray, outside: np.ndarray, false: float = 0.01) -> float:
    """Return the share of members above a threshold that at most a share `false` of the non-members
    exceeds.
    """
    ordered = np.sort(np.asarray(outside, dtype=np.float64))[::-1]
    return float((inside > ordered[min(int(false * len(ordered)), len(ordered) - 1)]).mean())


def against_patients(
    inside: Float[np.ndarray, " n"],
    member: Int64[np.ndarray, " n"],
    outside: Float[np.ndarray, " m"],
    stranger: Int64[np.ndarray, " m"],
    rng: np.random.Generator,
) -> Finding:
    """Tell members from other people by one score per image, averaged over each patient's images.

    Knowledge: some images of the patient in question that need not be those trained on, images that
    the model shows, and images of people who are certainly no members. `inside` (N,) the scores of
    the members' images, `member` (N,) whose they are; `outside` (M,) and `stranger` (M,) the same
    for non-members. Measures: "auc" over patients' mean scores; "tar_1", members accepted at 1 %
    false ones; "auc_images"; "worst_decile", the mean over the tenth of the members whose images
    lie highest among the non-members' (1: surely members), with `chance` from dealing the members'
    scores out anew; "certain", the share of members all of whose images lie above all but 1 % of
    the non-members' images.
    """
    scores, others = _means(inside, member), _means(outside, stranger)
    level = np.searchsorted(np.sort(outside), inside, side="left") / len(outside)
    rate = _means(level, member)
    least = np.array([level[member == patient].min() for patient in np.unique(member)])
    equal = [worst_decile(_means(rng.permutation(level), member)) for _ in range(SIMULATIONS)]
    measures = {
        "auc": area(scores, others),
        "tar_1": accepted(scores, others),
        "auc_images": area(inside, outside),
        "worst_decile": float(worst_decile(rate)),
        "certain": float((least >= 0.99).mean()),
    }
    return Finding(
        "membership of patients",
        knowledge_of(against_patients),
        measures,
        {"auc": _auc_interval(scores, others, rng)},
        {"auc": 0.5, "tar_1": 0.01, "auc_images": 0.5, "worst_decile": float(np.mean(equal))},
        len(inside),
        len(scores),
        dict(zip(np.unique(member).tolist(), rate.tolist(), strict=True)),
        note="the members' per-patient number is the mean place of their images among the "
        "non-members'",
        kind="membership",
        target="member",
    )


def against_images(
    inside: Float[np.ndarray, " n"],
    member: Int64[np.ndarray, " n"],
    outside: Float[np.ndarray, " m"],
    same: Int64[np.ndarray, " m"],
    rng: np.random.Generator,
) -> Finding:
    """Tell a patient's training images from the same patient's other images.

    Knowledge: images of the patient, some of which were trained on, and images that the model
    shows. `inside` (N,) scores of training images and `member` (N,) whose they are; `outside` (M,),
    `same` (M,) those that were not trained on. Patients with both kinds count. Measures: "auc", the
    mean over patients of the AUC within the patient; "worst_decile" of these AUCs, with `chance`
    from shuffling in and out within each patient.
    """
    both = np.intersect1d(member, same)
    if len(both) == 0:
        raise NotApplicable("no patient has images of both kinds: use `against_patients`")
    pairs = [(inside[member == patient], outside[same == patient]) for patient in both]
    within = np.array([area(a, b) for a, b in pairs])
    equal = [
        worst_decile(np.array([area(*_shuffled(a, b, rng)) for a, b in pairs]))
        for _ in range(SIMULATIONS)
    ]
    interval = mean_interval(within, both, generator=rng)
    return Finding(
        "membership of images",
        knowledge_of(against_images),
        {"auc": float(within.mean()), "worst_decile": float(worst_decile(within))},
        {"auc": interval},
        {"auc": 0.5, "worst_decile": float(np.mean(equal))},
        len(inside) + len(outside),
        len(both),
        dict(zip(both.tolist(), within.tolist(), strict=True)),
        kind="membership",
        target="member",
    )


@dataclass(frozen=True, eq=False)
class Runs:
    """`scores` (R, P) of every patient in every run and `member` bool (R, P), whether the patient
    was in.
    """

    scores: Float[np.ndarray, "r p"]
    member: Bool[np.ndarray, "r p"]


def inside_and_outside(
    score_of: Callable[[Int64[np.ndarray, " m"]], Float[np.ndarray, " p"]],
    patients: int,
    runs: int,
    rng: np.random.Generator,
    kind: Int64[np.ndarray, " p"] | None = None,
) -> Runs:
    """Run a method `runs` times, each time with half of the patients, and score all of them every
    time.

    `score_of(members)` is given the numbers of the members, ascending, and returns a score for each
    of `patients`. Halves come in pairs, a half and its complement, so that everybody is in exactly
    as often as out. With `kind` (P,) the patients of each kind, such as those with the disease, are
    dealt to both halves alike.
    """
    scores, member = (
        np.empty((2 * (runs // 2), patients)),
        np.zeros((2 * (runs // 2), patients), dtype=bool),
    )
    for run in range(0, len(scores), 2):
        mixed = rng.permutation(patients)
        half = (
            mixed[: patients // 2]
            if kind is None
            else mixed[np.argsort(kind[mixed], kind="stable")][::2]
        )
        member[run, half] = True
        member[run + 1] = ~member[run]
        for row in (run, run + 1):
            scores[row] = score_of(np.flatnonzero(member[row]))
    return Runs(scores, member)


def membership(runs: Runs, rng: np.random.Generator) -> Finding:
    """Tell, patient by patient, the runs that included the patient from those that did not.

    Knowledge: how the method's output looks for this patient's image with and without the patient,
    from runs of the same method on other patients of the same kind (shadow runs, the strongest
    attacker here). Measures: "auc", the mean over patients of the AUC between runs inside and
    outside; "certain", the share of patients for whom no run outside scores as high as a run inside
    (AUC 1); "worst_decile" of the AUCs; "pooled_auc", one threshold for all patients: what a mean
    over records reports. `chance` shuffles in and out for each patient.
    """
    aucs = _aucs(runs.scores, runs.member)
    dealt = [_aucs(runs.scores, rng.permuted(runs.member, axis=0)) for _ in range(SIMULATIONS // 4)]
    interval = mean_interval(aucs, np.arange(len(aucs)), generator=rng)
    return Finding(
        "membership by shadow runs",
        knowledge_of(membership),
        {
            "auc": float(aucs.mean()),
            "certain": float((aucs == 1).mean()),
            "worst_decile": float(worst_decile(aucs)),
            "pooled_auc": area(runs.scores[runs.member], runs.scores[~runs.member]),
        },
        {"auc": interval},
        {
            "auc": 0.5,
            "pooled_auc": 0.5,
            "certain": float(np.mean([(one == 1).mean() for one in dealt])),
            "worst_decile": float(np.mean([worst_decile(one) for one in dealt])),
        },
        runs.scores.size,
        runs.scores.shape[1],
        dict(enumerate(aucs.tolist())),
        kind="membership",
        target="member",
    )


def _aucs(scores: np.ndarray, member: np.ndarray) -> Float[np.ndarray, " p"]:
    return np.array(
        [
            area(column[inside], column[~inside])
            for column, inside in zip(scores.T, member.T, strict=True)
        ]
    )


def _means(values: np.ndarray, patient: np.ndarray) -> Float[np.ndarray, " p"]:
    return mean_per_patient(values, patient)[1]


def _shuffled(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    both = rng.permutation(np.concatenate([a, b]))
    return both[: len(a)], both[len(a) :]


def _auc_interval(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator, draws: int = 500
) -> tuple[float, float]:
    """Return the 95 % interval of the AUC when members and non-members are drawn anew, each patient
    a unit.
    """
    values = [
        area(a[rng.integers(len(a), size=len(a))], b[rng.integers(len(b), size=len(b))])
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
