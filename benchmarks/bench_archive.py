"""An archive prepared, blurred and grouped, beside a plain loop: seconds of CPU and memory by size.

    python benchmarks/bench_archive.py    # 5,000, 20,000 and 100,000 images: five minutes
    python benchmarks/bench_archive.py --folder DIR --stage prepare 100000

With a folder, what each stage took is kept in there and is not measured again; `--stage` runs one
stage only, so that a long measurement can be stopped between two of them (a stage that was stopped
begins anew: its figure is that of one run).

Images of 96x96 pixels (ten of each patient, one patient in four diseased) become 64x64 (no eye is
looked for: what that costs is in `bench_prepare.py`), are blurred, and are released by K-Same-
Select's release form in blocks. The plain loop reads, resizes, blurs and writes one image after the
other and keeps nothing: it finds no doubled picture, splits nothing, checks no release against its
originals, and knows no groups. The last rows say what a million would take if the seconds of an
image stayed as between the two largest sizes, and what blocks cost in sharpness: the mean squared
distance of an image to the mean of its group, in grey levels, beside the exact form and beside
groups of random patients.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from medpriv_lib.core.files import atomic_write

SIDE, EACH, K = 96, 10, 6
SIZES = (5_000, 20_000, 100_000)
EXACT = 20_000  # images up to which the exact form is run beside; 5,000 are a single block
STAGES = ("prepare", "blur", "k-same-select")
LEAVES = {"plain": "plain", "prepare": "archive", "blur": "blur", "k-same-select": "groups"}


def drawn(folder: Path, n: int) -> None:
    """Write n images and their table: a soft face of each patient, moved and lit anew each time."""
    rng = np.random.default_rng(0)
    lines = ["file,patient,label"]
    for row in range(n):
        patient = row // EACH
        if row % EACH == 0:
            coarse = rng.normal(0, 1, (6, 6)) + 2 * _of_kind(patient)
            face = cv2.resize(
                coarse.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
            )
        light, noise = rng.uniform(0.8, 1.2), rng.normal(0, 6, (SIDE, SIDE))
        shown = np.roll(face, tuple(rng.integers(-2, 3, 2)), (0, 1)) * 25 * light + 120 + noise
        shard = folder / f"{row // 1000:04d}"
        shard.mkdir(exist_ok=True)
        name = f"{shard.name}/{row:07d}.png"
        cv2.imwrite(str(folder / name), np.clip(shown, 0, 255).astype(np.uint8))
        lines.append(f"{name},p{patient:06d},{int(patient % 4 == 0)}")
    (folder / "table.csv").write_text("\n".join(lines))


def _of_kind(patient: int) -> np.ndarray:
    """Return what some patients have in common: forty kinds of faces."""
    return np.random.default_rng(1000 + patient % 40).normal(0, 1, (6, 6))


def stage(name: str, folder: Path) -> None:
    """Run one stage in this process and its workers: what `measured` starts."""
    from medpriv_lib.data.archive.archive import Archive
    from medpriv_lib.data.choices import Cut
    from medpriv_lib.pipeline.archive.prepare import prepare_archive
    from medpriv_lib.pipeline.archive.privatize import privatize_archive

    if name == "prepare":
        prepare_archive(folder / "in", folder / "archive", Cut(localize=False))
    elif name == "blur":
        privatize_archive(Archive.open(folder / "archive"), "blur", folder / "blur", split="all")
    elif name == "k-same-select":
        privatize_archive(
            Archive.open(folder / "archive"), name, folder / "groups", split="all", k=K,
            form="release",
        )  # fmt: skip
    else:
        plain_loop(folder)


def plain_loop(folder: Path) -> None:
    """Read, resize, blur, write: what a short script does."""
    (folder / "plain").mkdir()
    for file in sorted((folder / "in").rglob("*.png")):
        image = cv2.imread(str(file), 0)
        assert image is not None
        image = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / "plain" / file.name), cv2.GaussianBlur(image, (9, 9), 1.7))


def measured(name: str, folder: Path) -> tuple[float, float]:
    """Return the CPU seconds and the GiB of a stage, all its processes together."""
    program = (
        "import os, resource, sys; from pathlib import Path; import bench_archive as b\n"
        "if __name__ == '__main__':\n"
        "    b.stage(sys.argv[1], Path(sys.argv[2]))\n"
        "    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, "
        "resource.RUSAGE_CHILDREN))\n"
        "    took = sum(w.ru_utime + w.ru_stime for w in (own, others))\n"
        "    workers = (os.cpu_count() or 1) if others.ru_maxrss > 2**16 else 0\n"
        "    print(took, (own.ru_maxrss + workers * others.ru_maxrss) / 2**20)\n"
    )
    script = folder / "stage.py"
    script.write_text(program)
    here = [str(Path(__file__).parent), *(path for path in sys.path if path)]
    found = subprocess.run(
        [sys.executable, script, name, folder],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(here)},
    )
    seconds, memory = found.stdout.split()
    return float(seconds), float(memory)


def spread_inside(images: np.ndarray, groups: list[np.ndarray]) -> float:
    """Return the mean squared distance of images (N, H, W) to the mean of their group."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    total = sum(float(((flat[g] - flat[g].mean(axis=0)) ** 2).mean(axis=1).sum()) for g in groups)
    return total / sum(map(len, groups))


def sharpness(folder: Path) -> dict[str, float]:
    """Return the spread inside groups of patients: in blocks, exact, and of random patients."""
    from medpriv_lib.core.release import Release
    from medpriv_lib.data.archive.archive import Archive
    from medpriv_lib.privatizers.k_same import KSameSelect

    archive = Archive.open(folder / "archive")
    cohort = archive.take(np.arange(len(archive)))
    parts = sorted((folder / "groups" / "keep" / "parts").glob("*.npz"))
    rng = np.random.default_rng(0)
    alone = {label: np.unique(cohort.patient[cohort.diseased == label]) for label in (False, True)}
    mixed = [
        some for people in alone.values()
        for some in np.array_split(rng.permutation(people), len(people) // K)
    ]  # fmt: skip
    grouped = [who for path in parts for who in members(Release.load(path).contributors)]
    exact = members(KSameSelect(K, "release").privatize(cohort).contributors)
    named = {"blocks": grouped, "exact": exact, "random": mixed}
    return {
        name: spread_inside(
            cohort.images, [np.flatnonzero(np.isin(cohort.patient, g)) for g in who]
        )
        for name, who in named.items()
    }


def members(contributors: np.ndarray) -> list[np.ndarray]:
    """Return the distinct groups of patients of a release."""
    return [who[who >= 0] for who in np.unique(contributors, axis=0)]


def costs(folder: Path, n: int, only: str | None = None) -> dict[str, tuple[float, float]]:
    """Return CPU seconds and GiB of each stage on n images, measured where they are not kept in
    `folder` yet; `only` measures no other stage.
    """
    folder = folder / str(n)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "costs.json"
    found = json.loads(kept.read_text()) if kept.is_file() else {}
    if not (folder / "in" / "table.csv").is_file():
        shutil.rmtree(folder / "in", ignore_errors=True)
        (folder / "in").mkdir()
        drawn(folder / "in", n)
    for what, leaves in LEAVES.items():
        if what not in found and only in (None, what):
            shutil.rmtree(folder / leaves, ignore_errors=True)
            found[what] = measured(what, folder)
            with atomic_write(kept) as temporary:
                temporary.write_text(json.dumps(found))
    return found


def run(sizes: tuple[int, ...] = SIZES, folder: Path | None = None) -> list[dict]:
    """Return the rows of the benchmark table; the figures of one size are of one run."""
    if folder is None:
        with tempfile.TemporaryDirectory() as name:
            return run(sizes, Path(name))
    rows, curve = [], {}
    for n in sizes:
        found = costs(folder, n)
        for what in STAGES:
            curve[what, n], memory = found[what]
            name = f"archive of {n:,}: {what}"
            rows.append(_row(name, curve[what, n], None, f"{memory:.2f} GiB"))
        both = curve["prepare", n] + curve["blur", n]
        curve["plain", n], small = found["plain"]
        note = f"the loop alone {small:.2f} GiB; it checks and groups nothing"
        rows.append(_row(f"archive of {n:,}: prepare and blur", both, curve["plain", n], note))
        if n <= EXACT:
            rows += [
                _row(f"spread inside groups of {n:,}: {how}", value, None, "", "levels²")
                for how, value in sharpness(folder / str(n)).items()
            ]
    if len(sizes) > 1:
        rows += extrapolated(curve, *sorted(sizes)[-2:])
    return rows


def extrapolated(curve: dict[tuple[str, int], float], small: int, large: int) -> list[dict]:
    """Return what a million images would take, by the slope between two sizes."""
    hours = {}
    for what in (*STAGES, "plain"):
        slope = (curve[what, large] - curve[what, small]) / (large - small)
        hours[what] = (curve[what, large] + slope * (1_000_000 - large)) / 3600
    return [
        _row(f"a million, extrapolated: {what}", hours[what], hours["plain"], "", "h")
        for what in STAGES
    ]


def _row(name: str, ours: float, peer: float | None, note: str, unit: str = "CPU s") -> dict:
    ratio = None if peer is None else peer / ours
    return {"name": name, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit, "note": note}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--folder", type=Path, help="where images and figures are kept")
    parser.add_argument("--stage", choices=("draw", *LEAVES), help="run one stage only")
    given = parser.parse_args()
    if given.stage is not None:
        if given.folder is None:
            parser.error("--stage needs --folder, where its figure is kept")
        for n in given.sizes:
            print(n, costs(given.folder, n, given.stage))
        return
    for row in run(tuple(given.sizes), given.folder):
        peer = "" if row["peer"] is None else f"   plain loop {row['peer']:.3g}"
        note = f"   ({row['note']})" if row["note"] else ""
        print(f"{row['name']:<46} {row['ours']:.4g} {row['unit']}{peer}{note}", flush=True)


if __name__ == "__main__":
    main()
