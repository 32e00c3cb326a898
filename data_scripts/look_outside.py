"""Try sign transfer on eyes from outside the renderer: any folder of near-infrared pictures.

python data_scripts/look_outside.py FOLDER [--weights NAME] [--strangers FILE] [--sheet FILE.png]
    [--device cuda]

Every picture below FOLDER is cut as `medpriv prepare` does. Said to be healthy, or of nobody knows
what: how many get a sign added (alpha above .2 somewhere: by default nothing fainter is painted),
and how linkable the releases are to their own source beside the bare strangers, for each way to
treat the pupil. Linkage: how often the high-passed release is more like its own source than like
another's (.5: guessing); --sheet shows the first sixteen. No name of a file is printed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.randomness import seeded  # noqa: E402
from medpriv_lib.core.weights import shipped  # noqa: E402
from medpriv_lib.data.eyes.examine import examine  # noqa: E402
from medpriv_lib.data.eyes.localize import SMALLEST  # noqa: E402
from medpriv_lib.data.eyes.strip import strip_rows  # noqa: E402
from medpriv_lib.data.frame import FADED, frame_of_eye  # noqa: E402
from medpriv_lib.data.images import BadImage, read_grey  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.sign_transfer import (  # noqa: E402
    FLOOR,
    FOUND,
    PUPILS,
    SignTransfer,
)
from medpriv_lib.privatizers.strangers import Strangers  # noqa: E402

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SHOWN = 16


def cut_out(folder: Path, size: int) -> tuple[np.ndarray, int]:
    """Return the eyes that were found (N, size, size), and how many pictures there were."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder}: no picture ({', '.join(SUFFIXES)}); name another folder")
    eyes = []
    for file in files:
        try:
            whole = read_grey(file)
        except BadImage:
            continue
        image = whole[: len(whole) - strip_rows(whole)]
        if min(image.shape) < SMALLEST:
            continue
        found = examine(image)
        if found.eye is not None and found.sure:
            eyes.append(frame_of_eye(found.eye, right=False).cut(image, size, FADED))
    if not eyes:
        raise ValueError(f"{folder}: no eye was found in {len(files)} pictures")
    return np.stack(eyes), len(files)


def linkage(releases: np.ndarray, sources: np.ndarray) -> float:
    """Return how often a release is more like its own source than like another's."""
    rows = []
    for images in (releases, sources):
        sharp = images.astype(np.float32)
        sharp = np.stack([one - cv2.GaussianBlur(one, (0, 0), 4) for one in sharp])
        flat = sharp.reshape(len(sharp), -1)
        flat -= flat.mean(axis=1, keepdims=True)
        rows.append(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6))
    scores = rows[0] @ rows[1].T
    own = np.diagonal(scores)[:, None]
    other = ~np.eye(len(scores), dtype=bool)
    return float(((own > scores) + 0.5 * (own == scores))[other].mean())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--strangers", type=Path, help="default: the shipped bank")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    try:
        return look(options)
    except (ValueError, OSError) as error:
        print(f"look_outside: error: {error}", file=sys.stderr)
        return 2


def look(options: argparse.Namespace) -> int:
    """Cut, read, release, count."""
    method = SignTransfer.load(options.weights or shipped(SignTransfer.name), options.device)
    if options.strangers:
        method.strangers = Strangers.load(options.strangers)
    eyes, files = cut_out(options.folder, method.network.architecture.size)
    n = len(eyes)
    print(f"{n} eyes in {files} pictures")
    alpha = method.read(eyes).alpha
    for level in (0.1, FLOOR, FOUND, 0.5):
        count = int((alpha.max(axis=(1, 2)) > level).sum())
        print(f"alpha above {level:g} somewhere: {count} of {n} ({count / n:.1%})")
    cohort = Cohort(
        eyes,
        np.arange(n),
        np.full(n, ""),
        np.zeros(n, bool),
        np.full(n, "test"),
        np.arange(n).astype(str),
    )
    for pupil in PUPILS:
        method.pupil, lines = pupil, []
        gain = method.gain
        for strength in (gain, 0.0):
            method.gain = strength
            drawn = [
                linkage(method.privatize(cohort, seeded(0, "outside", draw)).images, eyes)
                for draw in range(5)
            ]
            lines.append(f"{np.mean(drawn):.3f}")
        method.gain = gain
        if n > 1:
            print(f"pupil {pupil}: linked {lines[0]}, bare strangers with it {lines[1]}")
    if options.sheet:
        sheet(options.sheet, eyes, alpha, method.privatize(cohort, seeded(0, "outside", 0)).images)
    return 0


def sheet(path: Path, eyes: np.ndarray, alpha: np.ndarray, releases: np.ndarray) -> None:
    """Write sources, alpha and releases, one below the other."""
    shown = np.rint(255 * alpha).astype(np.uint8)
    rows = [np.hstack(list(part[:SHOWN])) for part in (eyes, shown, releases)]
    cv2.imwrite(
        str(path),
        cv2.resize(np.vstack(rows), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST),
    )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    sys.exit(main())
