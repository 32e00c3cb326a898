"""The synthetic cohort on disk, in the layout of Warsaw-BioBase-Disease-Iris v2.1, with its ground
truth beside it.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np

from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.difficulty import DEFAULT, Difficulty
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.render import Rendering, render_with_truth
from medpriv_lib.data.synthetic.scene import locate
from medpriv_lib.data.synthetic.writer import Layout, write_planned, write_table

PATIENTS, IMAGES, GLAUCOMA = 115, 1795, 425  # the counts of Montenegro et al. 2021, section 2.1
SEED = 2021
VERSION = 1  # raise it when the same seed would give other images
TABLE_FILE = "medical-description-v2-1.csv"


@dataclass(frozen=True)
class Item:
    """One planned image: `patient` from 1, `eye` "L" or "R", `number` from 1 within the eye,
    `glaucoma` of that eye.
    """

    patient: int
    eye: str
    number: int
    glaucoma: bool

    @property
    def folder(self) -> str:
        """The folder of the eye, as in the Warsaw set: `0007left`."""
        return f"{self.patient:04d}{'left' if self.eye == 'L' else 'right'}"

    @property
    def stem(self) -> str:
        """The file name without its suffix: `0007_L_IG_3`."""
        return f"{self.patient:04d}_{self.eye}_IG_{self.number}"


def plan(patients: int = PATIENTS, images: int = IMAGES, seed: int = SEED) -> list[Item]:
    """Return what a cohort consists of, without rendering: both eyes of every patient, at least one
    image each.

    Glaucoma has `GLAUCOMA / IMAGES` of the images (425 of 1,795) and about a quarter of the
    patients; about a quarter of these have it in one eye only. Raises `ValueError` for fewer than 2
    patients or fewer than 2 images a patient.
    """
    if patients < 2 or patients > 9999 or images < 2 * patients:
        raise ValueError(
            f"{patients} patients, {images} images: take 2 to 9999 patients and at least 2 images "
            "each"
        )
    rng = np.random.default_rng([1, seed])
    share = GLAUCOMA / IMAGES
    affected = max(1, round(1.12 * share * patients))
    one_sided = affected // 4
    chosen = rng.permutation(patients)[:affected] + 1
    sick = {(int(p), e) for p in chosen[one_sided:] for e in "LR"}
    sick |= {(int(p), "LR"[int(rng.integers(2))]) for p in chosen[:one_sided]}
    eyes = [(p, e) for p in range(1, patients + 1) for e in "LR"]
    sick_images = min(max(round(images * share), len(sick)), images - (len(eyes) - len(sick)))
    counts: dict[tuple[int, str], int] = {}
    for group, total in (
        (sorted(sick), sick_images),
        ([e for e in eyes if e not in sick], images - sick_images),
    ):
        counts |= dict(zip(group, apportion(rng, total, len(group)), strict=True))
    return [Item(p, e, k + 1, (p, e) in sick) for p, e in eyes for k in range(counts[p, e])]


def apportion(rng: np.random.Generator, total: int, groups: int, least: int = 3) -> list[int]:
    """Share `total` images among eyes: uneven as visits are, at least one each (`least` where there
    are enough).
    """
    least = min(least, total // groups)
    weight = rng.gamma(6.0, size=groups)
    exact = (total - least * groups) * weight / weight.sum()
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - least * groups - counts.sum()]] += 1
    return (counts + least).tolist()


@lru_cache(maxsize=4)
def person(
    patient: int, seed: int = SEED, difficulty: Difficulty = DEFAULT
) -> tuple[Identity, Identity]:
    """Return the left and the right eye of a patient of the cohort."""
    left = Identity.draw(np.random.default_rng([2, seed, patient]), difficulty)
    return left, left.fellow()


def findings(item: Item, seed: int = SEED, difficulty: Difficulty = DEFAULT) -> Pathology:
    """Return the findings in the eye of `item`; they are the same in all its images."""
    rng = np.random.default_rng([3, seed, item.patient, "LR".index(item.eye)])
    return Pathology.draw(rng, item.glaucoma, difficulty)


def conditions(item: Item, seed: int = SEED, difficulty: Difficulty = DEFAULT) -> Capture:
    """Return how the image of `item` was captured."""
    return Capture.draw(
        np.random.default_rng([4, seed, item.patient, "LR".index(item.eye), item.number]),
        difficulty,
    )


def render_item(item: Item, seed: int = SEED, difficulty: Difficulty = DEFAULT) -> Rendering:
    """Return the image of `item` with its twin, evidence and geometry, exactly as `write_synthetic`
    writes it.
    """
    identity = person(item.patient, seed, difficulty)["LR".index(item.eye)]
    label = f"IG {item.patient:04d} {item.eye}"
    return render_with_truth(
        identity, findings(item, seed, difficulty), conditions(item, seed, difficulty), label
    )


def write_synthetic(
    folder: str | os.PathLike,
    patients: int = PATIENTS,
    images: int = IMAGES,
    seed: int = SEED,
    workers: int | None = None,
    difficulty: Difficulty = DEFAULT,
    suffix: str = ".bmp",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a cohort in the Warsaw layout and return its folder.

    `images-NIR/NNNNleft|NNNNright/NNNN_L_IG_k.bmp` 8-bit 640x480, `medical-description-v2-1.csv`,
    and `truth/`: twin and evidence mask (PNG, 0 or 255) of every image with glaucoma, and
    `geometry.csv` of all images (px, as written). The same seed gives the same bytes whatever
    `workers` (None: all cores). A killed run is completed by calling again with the same arguments:
    the metadata table is written last, so an incomplete folder is never taken for a cohort.
    `progress(done, total)` is called as patients are finished. Raises `ValueError` for an
    impossible plan, an unknown suffix, or a folder that holds something else.
    """
    items = plan(patients, images, seed)
    folder = Path(folder)
    card = {
        "version": VERSION,
        "patients": patients,
        "images": images,
        "seed": seed,
        "suffix": suffix,
        "difficulty": asdict(difficulty),
    }
    layout = Layout[Item](
        "images-NIR",
        suffix,
        partial(render_item, seed=seed, difficulty=difficulty),
        partial(_geometry, seed=seed, difficulty=difficulty),
    )
    write_planned(folder, card, items, layout, workers, progress)
    rows: list[tuple[object, ...]] = [("patient", "left eye", "right eye")]
    for patient, group in groupby(items, key=lambda item: item.patient):
        names = {item.eye: findings(item, seed, difficulty).diagnoses() for item in group}
        rows.append((patient, names["L"], names["R"]))
    write_table(folder / TABLE_FILE, rows, ";")
    return folder


def _geometry(item: Item, seed: int, difficulty: Difficulty) -> Eye:
    identity = person(item.patient, seed, difficulty)["LR".index(item.eye)]
    return locate(identity, findings(item, seed, difficulty), conditions(item, seed, difficulty))
