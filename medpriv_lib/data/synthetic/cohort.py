"""The synthetic cohort on disk, in the layout of Warsaw-BioBase-Disease-Iris v2.1, with its ground
truth beside it.
"""

import csv
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from medpriv_lib.core.files import atomic_write
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.difficulty import DEFAULT, Difficulty
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.render import Rendering, render_with_truth
from medpriv_lib.data.synthetic.scene import locate

PATIENTS, IMAGES, GLAUCOMA = 115, 1795, 425  # the counts of Montenegro et al. 2021, section 2.1
SEED = 2021
VERSION = 1  # raise it when the same seed would give other images
PLAN_FILE = "synthetic.json"
TABLE_FILE = "medical-description-v2-1.csv"
GEOMETRY = ("file", "pupil_x", "pupil_y", "pupil_r", "iris_x", "iris_y", "iris_r", "pupil_ratio")


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
        counts |= dict(zip(group, _apportion(rng, total, len(group)), strict=True))
    return [Item(p, e, k + 1, (p, e) in sick) for p, e in eyes for k in range(counts[p, e])]


def _apportion(rng: np.random.Generator, total: int, groups: int) -> list[int]:
    """Share `total` images among eyes: uneven as visits are, at least one each (three where there
    are enough).
    """
    least = min(3, total // groups)
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
    if suffix not in (".bmp", ".png"):
        raise ValueError(f"suffix {suffix!r}: choose .bmp or .png")
    folder = Path(folder)
    card = {
        "version": VERSION,
        "patients": patients,
        "images": images,
        "seed": seed,
        "suffix": suffix,
        "difficulty": asdict(difficulty),
    }
    _claim(folder, card)
    if (folder / TABLE_FILE).is_file():
        return folder
    by_patient = {p: [item for item in items if item.patient == p] for p in range(1, patients + 1)}
    for item in items:
        (folder / "images-NIR" / item.folder).mkdir(parents=True, exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    for leftover in (
        *folder.glob("images-NIR/*/.*"),
        *folder.glob("truth/.*"),
    ):  # half-written when a run was killed
        leftover.unlink()
    done = 0
    for count in _written(folder, list(by_patient.values()), seed, difficulty, suffix, workers):
        done += count
        if progress:
            progress(done, images)
    _write_geometry(folder, items, seed, difficulty, suffix)
    _write_table(folder, by_patient, seed, difficulty)
    return folder


def _claim(folder: Path, card: dict) -> None:
    """Mark the folder as this cohort's, or refuse it where it is something else's."""
    marker = folder / PLAN_FILE
    if marker.is_file():
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != card:
            raise ValueError(
                f"{folder} holds a synthetic cohort of other parameters; choose another folder"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and holds no synthetic cohort; choose an empty or new folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(marker) as temporary:
        temporary.write_text(json.dumps(card, indent=1), encoding="utf-8")


def _written(
    folder: Path,
    groups: list[list[Item]],
    seed: int,
    difficulty: Difficulty,
    suffix: str,
    workers: int | None,
) -> Iterator[int]:
    """Write patient after patient, in this process or in several, and yield how many images each
    had.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(groups) == 1:
        for group in groups:
            yield _write_patient(folder, group, seed, difficulty, suffix)
        return
    # spawned, not forked: OpenCV and torch hold threads
    with ProcessPoolExecutor(
        min(workers, len(groups)), multiprocessing.get_context("spawn")
    ) as pool:
        tasks = [
            pool.submit(_write_patient, folder, group, seed, difficulty, suffix, True)
            for group in groups
        ]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_patient(
    folder: Path,
    group: list[Item],
    seed: int,
    difficulty: Difficulty,
    suffix: str,
    one_thread: bool = False,
) -> int:
    """Write all images of a patient that are not there yet; the truth first, so that an image
    implies its truth.
    """
    if one_thread:
        cv2.setNumThreads(1)
    for item in group:
        path = folder / "images-NIR" / item.folder / f"{item.stem}{suffix}"
        if path.is_file():
            continue
        rendering = render_item(item, seed, difficulty)
        if item.glaucoma:
            _write_image(folder / "truth" / f"{item.stem}_twin.png", rendering.twin)
            _write_image(
                folder / "truth" / f"{item.stem}_mask.png",
                rendering.evidence.astype(np.uint8) * 255,
            )
        _write_image(path, rendering.image)
    return len(group)


def _write_image(path: Path, image: np.ndarray) -> None:
    """Write one grey image atomically."""
    good, data = cv2.imencode(
        path.suffix, image, [cv2.IMWRITE_PNG_COMPRESSION, 1] if path.suffix == ".png" else []
    )
    if not good:
        raise ValueError(f"{path}: OpenCV could not encode the image")
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _write_geometry(
    folder: Path, items: list[Item], seed: int, difficulty: Difficulty, suffix: str
) -> None:
    with (
        atomic_write(folder / "truth" / "geometry.csv") as temporary,
        open(temporary, "w", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(GEOMETRY)
        for item in items:
            identity = person(item.patient, seed, difficulty)["LR".index(item.eye)]
            eye = locate(
                identity, findings(item, seed, difficulty), conditions(item, seed, difficulty)
            )
            numbers = [f"{getattr(eye, key):.3f}" for key in GEOMETRY[1:-1]] + [
                f"{eye.pupil_ratio:.4f}"
            ]
            table.writerow([f"{item.stem}{suffix}", *numbers])


def _write_table(
    folder: Path, by_patient: dict[int, list[Item]], seed: int, difficulty: Difficulty
) -> None:
    with (
        atomic_write(folder / TABLE_FILE) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, delimiter=";", lineterminator="\n")
        table.writerow(("patient", "left eye", "right eye"))
        for patient, group in by_patient.items():
            names = {item.eye: findings(item, seed, difficulty).diagnoses() for item in group}
            table.writerow((patient, names["L"], names["R"]))
