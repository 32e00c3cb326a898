"""The paper's Figure 5, and which method fails which of its three requirements at a glance."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.drawing import save
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.palette import INK, MET, MISSED, PAPER, SKY, tint
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.default import DEFAULT_DISEASE, disease_of
from medpriv_lib.explanation.deep_taylor import deep_taylor, explainable
from medpriv_lib.explanation.page import overlay
from medpriv_lib.explanation.relevance_scores import relevance_mass
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.table import Row

SHOWN = 4
COLUMNS = {"same": "same pathology", "different": "different pathology"}
# A requirement counts as met from here on. The lines are ours; the paper names none.
FOUND, SHARP = 90.0, 50.0  # % of eyes found; % of the original's sharpness
NAMED = 5.0  # % of images whose source patient, or another contributor, the identity judge names
KEPT = 50.0  # % of the signs
EDGES = np.array([0.0, 1.5, 2.5, 3.5, 4.5])  # of the columns; the first holds two numbers
FAILS, MEETS, ABSENT = tint(MISSED, 0.26), tint(MET, 0.16), "0.95"


def write_explanation_figures(
    cohort: Cohort, vgan: PPRLVGAN, judge: Recogniser, rows: Sequence[Row], folder: Path, seed: int
) -> str:
    """Write `figure-5-deep-taylor.png` and `requirements.png` into an existing folder.

    The first is left out where no test image is diseased with a map, or no release can be made; the
    reason is returned, "" where both were written.
    """
    save(requirements(rows), folder / "requirements.png")
    try:
        drawn = figure_5(cohort.of("test"), vgan, judge, seed, disease_of(cohort.name))
    except NotApplicable as error:
        return str(error)
    save(drawn, folder / "figure-5-deep-taylor.png")
    return ""


def figure_5(
    test: Cohort, vgan: PPRLVGAN, judge: Recogniser, seed: int, disease: str = DEFAULT_DISEASE
) -> Figure:
    """Draw the relevance of originals with the disease and of their privatised versions with and
    without it.

    As the paper's Figure 5, but for four images that nobody chose: the first of four patients whose
    disease the judge sees; `disease` is its name. Each map is that of the class that the judge
    predicts, named above it. Where the signs are known they are outlined, and the share of the
    relevance inside is given beside the mask's share of the area. Raises `NotApplicable` where
    there is no such image or a policy has no patients to draw from.
    """
    named = logits(judge, test.images).argmax(1).numpy()
    rows = np.flatnonzero(
        test.diseased & (named == 1) & explainable(judge, to_tensor(test.images)).numpy()
    )
    rows = rows[np.unique(test.patient[rows], return_index=True)[1]]
    rows = np.sort(rows)[:SHOWN]
    if len(rows) == 0:
        raise NotApplicable(
            "the judge sees the disease in no diseased test image: there is nothing to draw"
        )
    shown = test.take(rows)
    columns = {"original": shown.images} | {
        title: vgan.with_policy(policy).privatize(shown, seeded(seed, "figure 5", policy)).images
        for policy, title in COLUMNS.items()
    }
    figure = Figure(
        figsize=(2.9 * len(columns), 1.8 * len(rows) + 0.4), layout="constrained", facecolor=PAPER
    )
    axes = figure.subplots(len(rows), 2 * len(columns), squeeze=False)
    for j, (title, images) in enumerate(columns.items()):
        pair = axes[:, 2 * j : 2 * j + 2]
        pair[0, 0].set_title(title, fontsize=9, color=INK)
        pair[0, 1].set_title("Deep Taylor", fontsize=9, color=INK)
        _pair_of_columns(pair, images, judge, shown.evidence, ("healthy", disease))
    return figure


def _pair_of_columns(
    axes: np.ndarray,
    images: np.ndarray,
    judge: Recogniser,
    evidence: np.ndarray | None,
    classes: tuple[str, str],
) -> None:
    x = to_tensor(images)
    there = explainable(judge, x)
    maps = np.zeros(images.shape, dtype=np.float32)
    if there.any():
        maps[there.numpy()] = deep_taylor(judge, x[there])[:, 0].numpy()
    named = logits(judge, images).argmax(1).tolist()
    share = None if evidence is None else relevance_mass(maps, evidence)
    for i, (image, relevance) in enumerate(zip(images, maps, strict=True)):
        axes[i, 0].imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes[i, 1].imshow(overlay(image, relevance), interpolation="nearest")
        if evidence is not None and evidence[i].any():
            axes[i, 1].contour(evidence[i], levels=[0.5], colors=SKY, linewidths=0.8)
        text = classes[named[i]]
        if share is not None and evidence is not None and np.isfinite(share[i]):
            text += f": {100 * share[i]:.0f} % in\nsigns, {100 * evidence[i].mean():.0f} % of area"
        axes[i, 1].set_xlabel(text, fontsize=9, color=INK)
        for axis in axes[i]:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)


def verdicts(row: Row) -> dict[str, tuple[str, bool | None]]:
    """Return for each requirement its numbers as text and whether it is met; None where it cannot
    be said.

    Intelligibility: the localiser still finds 90 % of the eyes and half of the sharpness is there
    (sharpness alone where these are no eyes). Privacy, of the source and of the other contributors
    apart: the identity judge names at most 5 %. Evidence: half of the disease's own signs are kept.
    """
    found, sharp = row["intelligibility_found"], row["intelligibility_sharpness"]
    readable = None if sharp is None else sharp >= SHARP and (found is None or found >= FOUND)
    parts = ([] if found is None else [f"{found:.0f} % found"]) + (
        [] if sharp is None else [f"{sharp:.0f} % sharp"]
    )
    source, others, kept = (
        row["identity_accuracy"],
        row["other_contributor_accuracy"],
        row["evidence_kept"],
    )
    return {
        "intelligible": (", ".join(parts) or "-", readable),
        "hides the source": _rate(source, "named", None if source is None else source <= NAMED),
        "hides contributors": ("no others", True)
        if others is None and source is not None
        else _rate(others, "named", None if others is None else others <= NAMED),
        "keeps the signs": _rate(kept, "kept", None if kept is None else kept >= KEPT),
    }


def _rate(value: float | None, what: str, met: bool | None) -> tuple[str, bool | None]:
    return ("-" if value is None else f"{value:.1f} % {what}"), met


def requirements(rows: Sequence[Row]) -> Figure:
    """Draw every method against the paper's requirements: the number, and a cross where it fails
    (see `verdicts`).
    """
    shown = [
        row for row in rows if row["labels"] != "predicted" and row["disease_accuracy"] is not None
    ]
    figure = Figure(figsize=(9.0, 0.3 * len(shown) + 1.1), layout="constrained", facecolor=PAPER)
    axis = figure.subplots()
    heads: list[str] = []
    for i, row in enumerate(shown):
        cells = verdicts(row)
        heads = list(cells)
        for j, (text, met) in enumerate(cells.values()):
            colour = ABSENT if met is None else MEETS if met else FAILS
            axis.add_patch(_box(EDGES[j], i, EDGES[j + 1] - EDGES[j], colour))
            mark = {None: "", True: "", False: "\u2717 "}[met]
            axis.text(
                (EDGES[j] + EDGES[j + 1]) / 2,
                i + 0.5,
                mark + text,
                ha="center",
                va="center",
                fontsize=9,
                color=INK,
            )
    axis.set_xlim(0, EDGES[-1])
    axis.set_ylim(max(len(shown), 1), 0)
    axis.set_xticks((EDGES[:-1] + EDGES[1:])[: len(heads)] / 2, heads, fontsize=9, color=INK)
    names = [
        f"{row['experiment']}: {row['set']}".replace("identities with the", "identity,")
        for row in shown
    ]
    names = [name.replace("identities with a", "identity,") for name in names]
    axis.set_yticks(np.arange(len(shown)) + 0.5, names, fontsize=9, color=INK)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel(
        f"\u2717 fails: under {FOUND:.0f} % of eyes found or {SHARP:.0f} % of the sharpness;\nover "
        f"{NAMED:.0f} % named; under {KEPT:.0f} % of the signs kept",
        fontsize=9,
        color=INK,
    )
    return figure


def _box(left: float, row: int, width: float, colour: str) -> Rectangle:
    return Rectangle((left + 0.02, row + 0.05), width - 0.04, 0.9, color=colour, linewidth=0)
