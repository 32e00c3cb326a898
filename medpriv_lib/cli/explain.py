"""explain a decision by similar cases, privatised, as one HTML page

IMAGE is the case to explain: an image file. The recogniser decides on it, the most similar training
images of the same decision are looked up (never of --patient), privatised by --method and written
with relevance maps into one page that asks the network for nothing. Cases whose patient an identity
judge still names after the change are held back. With --counterfactual the page also shows IMAGE
itself with the other reading, and what was changed for that. With the package's weights the network
and the cases are synthetic: a reading of a real image then means nothing.

Examples:
  medpriv explain eye.png --method averaged --out why.html
  medpriv explain eye.png --method k-same-select --k 6 --cases 3 --right
  medpriv explain eye.png --method blur --counterfactual
  medpriv explain scan.png --no-localize --cohort xrays.npz --weights my-weights/ --method blur
      an image that is no eye; an eye that was not found: cut it first
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medpriv_lib.cli.naming import naming
from medpriv_lib.cli.options import (
    add_methods,
    load_cohort,
    printing,
    require_parent,
    say,
    settings_of,
    two_names,
    whole,
)
from medpriv_lib.core.printable import printable

if TYPE_CHECKING:
    from medpriv_lib.explanation.case import Explanation

STOPPED = "nothing was written"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", help="a PNG, JPEG, BMP or TIFF file")
    add_methods(parser)
    parser.add_argument(
        "--cases",
        type=whole(1, 12),
        default=3,
        metavar="N",
        help="how many are shown, 1 to 12 (default 3)",
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
        metavar="A,B",
        help='names of the two readings (default "no disease,disease", and by the disease\'s name '
        "for the package's cohort)",
    )
    parser.add_argument(
        "--counterfactual",
        action="store_true",
        help="also show IMAGE with the other reading: signs removed or added, and the other "
        "medical vector where disentangled weights are",
    )
    parser.add_argument(
        "--out", default="explanation.html", metavar="FILE", help="default explanation.html"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE where it exists")


def run(args: argparse.Namespace) -> None:
    """Decide, look up, privatise, write the page."""
    from medpriv_lib.pipeline.explaining import require_explaining

    settings, classes, out = settings_of(args), _classes(args.classes), _new_file(args)
    require_explaining(args.method, settings)
    cohort = load_cohort(args.cohort)
    size = cohort.images.shape[1]
    with naming(settings):
        require_explaining(args.method, settings, cohort)

    from medpriv_lib.explanation.page import write_page  # these read networks, and take seconds
    from medpriv_lib.pipeline.explain import explain, on_file, read_case

    image = read_case(
        args.image,
        size,
        right=args.right,
        localize=not args.no_localize,
        colour=cohort.images.ndim == 4,
    )
    known = on_file(image, cohort) if args.patient is None else None
    with naming(settings):
        result = explain(
            image,
            cohort,
            args.method,
            cases=args.cases,
            weights=args.weights,
            patient=args.patient,
            classes=classes,
            counterfactual=args.counterfactual,
            **settings,
        )
    write_page(result, out)
    with printing(out):
        _print(result, args.cases, out)
        if known is not None:
            say(
                f"IMAGE is on file, of the patient {printable(known)}: no case of this patient is "
                "shown"
            )


def _print(result: "Explanation", cases: int, out: Path) -> None:
    reading = result.classes[result.decision]
    say(f"read as {reading} ({result.chance}); {cases} cases, changed by {result.method}")
    if result.caution:
        say(f"caution: {result.caution}")
    if result.held_back.any():
        stronger = "; choose a method that hides more" if result.held_back.all() else ""
        say(
            f"{int(result.held_back.sum())} held back: the identity judge still names the patient "
            f"after the change{stronger}"
        )
    for one in result.others:
        say(one.caption(result.classes))
    say(f"written to {out}")


def _classes(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else two_names(text)


def _new_file(args: argparse.Namespace) -> Path:
    from medpriv_lib.core.sharing import refuse_inside

    out = require_parent(args.out)
    refuse_inside(out, "a page that shows an image as it is")
    if out.is_dir():
        raise ValueError(
            f"{out} is a folder; name the file to write, such as {out / 'explanation.html'}"
        )
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: a page ends in .html; name it {out.with_suffix('.html')}")
    if out.exists() and not args.force:
        raise ValueError(
            f"{out} holds something already; name a new file, or overwrite it with --force"
        )
    return out
