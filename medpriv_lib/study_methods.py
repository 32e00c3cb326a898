"""The rows of the study: which methods, with which parameters, under which names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from medpriv_lib.cohort import Cohort, Release
from medpriv_lib.evaluation.scores import Verdicts
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, PriorSample, RealOther
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.study_decoded import Decoded

KERNELS = (3, 9, 15, 21)
GROUPS = (3, 6, 9, 12)
AVERAGED = 6
POLICIES = {"random": "random identities", "same": "identities with the same pathology",
            "different": "identities with a different pathology"}
AVERAGES = {"random": "with random identities", "same": "with the same pathology"}
PREDICTED = ", predicted labels"

Draw = Callable[[torch.Generator], tuple[Release, Verdicts | None]]


@dataclass(frozen=True)
class Method:
    """One row: its names, whose `labels` it is given ("", "true" or "predicted"), whether it draws, and one draw."""

    experiment: str
    set: str
    labels: str
    random: bool
    draw: Draw


def original(cohort: Cohort) -> Release:
    """Return the images as they are: the baseline."""
    return Blur(1).privatize(cohort)


def methods(train: Cohort, test: Cohort, predicted: Cohort, vgan, decoded: Decoded | None) -> Iterator[Method]:
    """Yield every row of the table: the paper's in its order, the controls, then those given predicted labels.

    `predicted` is `test` with the labels that the disease judge reads from the originals. `decoded` may be None: then
    the privatizers themselves run for every draw.
    """
    yield Method("baseline", "original test set", "", False, lambda generator: (original(test), None))
    yield from _vgan_rows(test, vgan, decoded, "true", "")
    for kernel in KERNELS:
        yield _plain("blur", f"kernel {kernel}", "", lambda kernel=kernel: Blur(kernel), train, test, False)
    for k in GROUPS:
        yield _plain("k-same-select", f"{k} identities", "true", lambda k=k: KSameSelect(k, form="query"), train, test,
                     False)
    yield _plain("control", "real image of another patient, same label", "true", RealOther, train, test, True)
    yield _plain("control", "mean image of the label", "true", ClassMean, train, test, False)
    yield _plain("control", "pprl-vgan without the source image", "", lambda: PriorSample(vgan), train, test, True)
    yield _plain("control", "pprl-vgan without the source image, same pathology", "true",
                 lambda: PriorSample(vgan, "same"), train, test, True)
    yield from _vgan_rows(predicted, vgan, decoded, "predicted", PREDICTED)
    for k in GROUPS:
        yield _plain("k-same-select", f"{k} identities{PREDICTED}", "predicted",
                     lambda k=k: KSameSelect(k, form="query"), train, predicted, False)
    yield _plain("control", f"real image of another patient, same label{PREDICTED}", "predicted", RealOther, train,
                 predicted, True)
    yield _plain("control", f"mean image of the label{PREDICTED}", "predicted", ClassMean, train, predicted, False)


def with_predicted_labels(test: Cohort, disease) -> Cohort:
    """Return `test` with the labels `disease` bool (N,) in place of the true ones."""
    return replace(test, diseased=disease)


def _vgan_rows(test: Cohort, vgan, decoded: Decoded | None, labels: str, suffix: str) -> Iterator[Method]:
    """Yield the rows of PPRL-VGAN and its averages; with predicted labels only those that use the label."""
    for policy, name in POLICIES.items():
        if policy == "random" and suffix:
            continue

        def draw(generator, policy=policy):
            if decoded is not None:
                return decoded.single(test, policy, generator)
            return vgan.with_policy(policy).privatize(test, generator), None

        yield Method("pprl-vgan", name + suffix, "" if policy == "random" else labels, True, draw)
    for policy, name in AVERAGES.items():
        if policy == "random" and suffix:
            continue

        def average(generator, policy=policy):
            if decoded is not None:
                return decoded.averaged(test, AVERAGED, policy, generator)
            return Averaged(vgan, AVERAGED, policy).privatize(test, generator), None

        yield Method("pprl-vgan", f"average of {AVERAGED} {name}{suffix}", "" if policy == "random" else labels, True,
                     average)


def _plain(experiment: str, name: str, labels: str, make: Callable, train: Cohort, test: Cohort, random: bool
           ) -> Method:
    return Method(experiment, name, labels, random,
                  lambda generator: (make().fit(train).privatize(test, generator), None))
