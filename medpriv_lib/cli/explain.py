"""explain a decision by similar cases, privatised, as one HTML page

IMAGE is the case to explain: an image file. The recogniser decides on it, the most similar training
images of the same decision are looked up (never of --patient), privatised by --method and written
with relevance maps into one page that asks the network for nothing. Cases whose patient an identity
judge still names after the change are held back.

Examples:
  medpriv explain eye.png --method averaged --out why.html medpriv explain eye.png --method
  k-same-select --k 6 --cases 3 --right medpriv explain scan.png --no-localize --cohort xrays.npz
  --weights my-weights/ --method blur --kernel 9
                                                 an image that is no eye; an eye that was not found:
                                                 cut it first
"""

import argparse
from pathlib import Path

import numpy as np

from medpriv_lib.cli.options import load_cohort, require_parent, say
from medpriv_lib.core.cohort import Cohort

METHODS = ("blur", "k-same-select", "pprl-vgan", "averaged")
# The localiser's score from which on an image is taken for an eye. Of 120 synthetic eyes (seed 5)
# 115 reach it, of 200 prepared images of the cohort 194; of 38 images of white noise and soft spots
# one, of 40 chest X-rays none (top .20).
SURE = 0.3
USES = {
    "k": ("k-same-select", "averaged"),
    "kernel": ("blur",),
    "policy": ("pprl-vgan", "averaged"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", help="a PNG, JPEG, BMP or TIFF file")
    parser.add_argument(
        "--method", choices=METHODS, required=True, help="how the cases are privatised"
    )
    parser.add_argument(
        "--cases", type=int, default=3, metavar="N", help="how many are shown, 1 to 12 (default 3)"
    )
    parser.add_argument(
        "--k", type=int, help="patients per image, for k-same-select and averaged (default 6)"
    )
    parser.add_argument("--kernel", type=int, help="width of the blur in pixels, odd (default 9)")
    parser.add_argument(
        "--policy",
        choices=("random", "same", "different"),
        help="who lends the identity, for pprl-vgan and averaged (default same)",
    )
    parser.add_argument(
        "--cohort", metavar="FILE", help="the cases on file (default: the package's cohort)"
    )
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="made by `medpriv fit` (default: the package's)"
    )
    parser.add_argument(
        "--patient", help="the patient of IMAGE where the cohort has it: never shown as a case"
    )
    parser.add_argument(
        "--right", action="store_true", help="IMAGE is a right eye: mirrored, as in the cohort"
    )
    parser.add_argument(
        "--no-localize",
        action="store_true",
        help="keep the centred square: for an image that is no eye, or an eye that is cut already",
    )
    parser.add_argument(
        "--classes",
        default="no glaucoma,glaucoma",
        metavar="A,B",
        help="names of the two readings (default: no glaucoma,glaucoma)",
    )
    parser.add_argument(
        "--out", default="explanation.html", metavar="FILE", help="default explanation.html"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE where it exists")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice")


def run(args: argparse.Namespace) -> None:
    """Decide, look up, privatise, write the page."""
    import torch

    from medpriv_lib.explanation.case import explain
    from medpriv_lib.explanation.page import write_report
    from medpriv_lib.pipeline.weights import load_weights

    for option, methods in USES.items():
        if getattr(args, option) is not None and args.method not in methods:
            raise ValueError(
                f"--{option} has no meaning for {args.method}; it belongs to {' and '.join(methods)}"
            )
    classes = tuple(name.strip() for name in args.classes.split(","))
    if len(classes) != 2 or not all(classes):
        raise ValueError(
            f"--classes needs two names with a comma between them, not {args.classes!r}"
        )
    out = require_parent(args.out)
    if out.is_dir():
        raise ValueError(
            f"{out} is a folder; name the file to write, such as {out / 'explanation.html'}"
        )
    if out.exists() and not args.force:
        raise ValueError(
            f"{out} holds something already; name a new file, or overwrite it with --force"
        )
    cohort = load_cohort(args.cohort)
    image = read_case(args.image, cohort, args.right, not args.no_localize)
    judges, vgan, _ = load_weights(args.weights, cohort, "cpu")
    gallery = cohort.of("train")
    result = explain(
        image,
        judges.disease,
        gallery,
        _privatizer(args, gallery, vgan),
        args.cases,
        torch.Generator().manual_seed(args.seed),
        patient=_patient(args.patient, cohort),
        identity=judges.identity,
        classes=classes,
    )
    write_report(result, out)
    say(
        f"read as {classes[result.decision]} ({result.chance}); {args.cases} cases, changed by {result.method}"
    )
    if result.held_back.any():
        stronger = "; choose a method that hides more" if result.held_back.all() else ""
        say(
            f"{int(result.held_back.sum())} held back: the identity judge still names the patient after the change"
            f"{stronger}"
        )
    say(f"written to {out}")


def read_case(path: str, cohort: Cohort, right: bool, localize: bool) -> np.ndarray:
    """Return the image as the cohort's images are: cut, centred, mirrored where it is a right eye,
    resized.

    Raises `FileNotFoundError` and `ValueError` for what cannot be read, and `ValueError` where no
    eye is found or what is found may be none.
    """
    from medpriv_lib.data.listing import Listing
    from medpriv_lib.data.prepare import prepare

    file = Path(path)
    if localize:
        _refuse_doubtful(file)
    listing = Listing(
        (file,),
        np.array(["case"]),
        np.array(["R" if right else ""]),
        np.array([False]),
        file.parent,
    )
    prepared, _ = prepare(listing, size=cohort.images.shape[1], localize=localize, progress=False)
    return prepared.images[0]


def _refuse_doubtful(file: Path) -> None:
    """Raise where the localiser is not sure: in noise it finds something round, too, and a reading
    would follow.
    """
    from medpriv_lib.data.eyes.localize import locate_scored
    from medpriv_lib.data.eyes.strip import strip_rows
    from medpriv_lib.data.images import read_grey

    image = read_grey(file)
    image = image[: len(image) - strip_rows(image)]
    if min(image.shape) < 32:
        return  # preparation says what is wrong
    eye, score = locate_scored(image)
    if eye is None or score < SURE:
        found = "no eye was found"
        if eye is not None:
            found = (
                f"the roundest thing, {2 * eye.iris_r:.0f} px wide around column {eye.iris_x:.0f} and row "
                f"{eye.iris_y:.0f}, may be no eye"
            )
        raise ValueError(
            f"{file}: {found} (score {score:.2f}, nearly all eyes have {SURE} or more); for an image that "
            "is no eye use --no-localize; is it an eye, cut a square of 1.4 iris widths around the iris "
            "and use --no-localize for that"
        )


def _patient(name: str | None, cohort: Cohort) -> int:
    from medpriv_lib.explanation.retrieval import UNKNOWN

    if name is None:
        return UNKNOWN
    rows = np.flatnonzero(cohort.patient_names == name)
    if len(rows) == 0:
        some = ", ".join(cohort.patient_names[:3].tolist())
        raise ValueError(
            f"unknown patient {name!r}: the cohort has {some}, …; leave --patient out for a patient who "
            "is not on file"
        )
    return int(rows[0])


def _privatizer(args: argparse.Namespace, gallery: Cohort, vgan):
    k, policy = 6 if args.k is None else args.k, args.policy or "same"
    if args.method == "blur":
        from medpriv_lib.privatizers.blur import Blur

        return Blur(9 if args.kernel is None else args.kernel)
    if args.method == "k-same-select":
        from medpriv_lib.privatizers.k_same import KSameSelect

        return KSameSelect(k, form="query").fit(gallery)
    if args.method == "averaged":
        from medpriv_lib.privatizers.averaging import Averaged

        return Averaged(vgan, k, policy)
    return vgan.with_policy(policy)
