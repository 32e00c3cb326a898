"""say what the disease recogniser reads, in plaintext or encrypted between three parties

INPUT is an image file, or a cohort file, of which the images of --split are read (default: the
package's cohort). With --encrypted three processes on this machine compute the same logits over
TLS: a model owner who never sees the image, a data owner who never sees the weights, and a dealer
of random numbers who sees neither. With --role this process is one of the three, and the others may
run on other machines; give each its own certificate.

Examples:
  medpriv infer eye.png
  medpriv infer eye.png --encrypted
  medpriv infer cohort.npz --split test --images 20 --encrypted
  medpriv infer --make-certificates keys/
  medpriv infer --role dealer --listen 0.0.0.0:7601 --certificates keys/
  medpriv infer --role model-owner --listen 0.0.0.0:7602 --dealer host:7601 --certificates keys/
  medpriv infer eye.png --role data-owner --model-owner host:7602 --dealer host:7601
  --certificates keys/
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medpriv_lib.cli.options import load_cohort, printing, say, two_names, whole

if TYPE_CHECKING:
    from medpriv_lib.pipeline.infer import Inference

STOPPED = "the session was ended, nothing was written"
ROLES = ("dealer", "model-owner", "data-owner")
SYNTHETIC = (
    "the package's recogniser learned from synthetic images: what it says of a real image means "
    "nothing"
)
FEW = 5  # images of a split that are read encrypted, where --images does not say
NEEDS = {
    "dealer": ("listen", "certificates"),
    "model-owner": ("listen", "dealer", "certificates"),
    "data-owner": ("model_owner", "dealer", "certificates"),
    None: (),
}
OPTIONS = ("listen", "dealer", "model_owner", "certificates")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("input", nargs="?", metavar="INPUT", help="an image file or a cohort file")
    parser.add_argument(
        "--encrypted", action="store_true", help="between three processes on this machine"
    )
    parser.add_argument("--split", default="test", help="of a cohort: train, val, test (default)")
    parser.add_argument(
        "--images",
        type=whole(1, 10**6),
        metavar="N",
        help=f"the first N of a cohort (default: all; encrypted: {FEW})",
    )
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="made by `medpriv fit` (default: the package's)"
    )
    parser.add_argument(
        "--right", action="store_true", help="an image file is a right eye: it is mirrored"
    )
    parser.add_argument(
        "--no-localize", action="store_true", help="an image file is cut already, or is no eye"
    )
    parser.add_argument(
        "--classes",
        default="no disease,disease",
        metavar="A,B",
        help='names of the two readings (default "no disease,disease")',
    )
    parser.add_argument(
        "--size",
        type=whole(16, 1024),
        default=64,
        metavar="N",
        help="of an image file: height and width that the network sees (default 64)",
    )
    parser.add_argument("--role", choices=ROLES, help="be one of the three parties")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where this party listens")
    parser.add_argument("--dealer", metavar="HOST:PORT", help="where the dealer listens")
    parser.add_argument("--model-owner", metavar="HOST:PORT", help="where the model owner listens")
    parser.add_argument("--certificates", metavar="DIR", help="this party's certificate and key")
    parser.add_argument("--once", action="store_true", help="serve one session, then end")
    parser.add_argument(
        "--make-certificates", metavar="DIR", help="write certificates for trying, and end"
    )


def run(args: argparse.Namespace) -> None:
    """Make certificates, serve, or read images and print what they are read as."""
    _refuse(args)
    try:
        if args.make_certificates:
            from medpriv_lib.core.sharing import refuse_inside
            from medpriv_lib.encrypted.certificates import make_certificates

            refuse_inside(args.make_certificates, "a key")
            made = make_certificates(args.make_certificates)
            with printing(made):
                say(f"written to {made}; good for 30 days")
        elif args.role in ("dealer", "model-owner"):
            _serve(args)
        else:
            _read(args)
    except ImportError as error:
        raise ValueError(str(error)) from error


def _refuse(args: argparse.Namespace) -> None:
    given = [name for name in OPTIONS if getattr(args, name) is not None]
    for name in NEEDS[args.role]:
        if name not in given:
            raise ValueError(f"--role {args.role} needs --{name.replace('_', '-')}")
    for name in given:
        if name not in NEEDS[args.role]:
            needed = "needs --role" if args.role is None else f"has no meaning for {args.role}"
            raise ValueError(f"--{name.replace('_', '-')} {needed}")
    if args.once and args.role not in ("dealer", "model-owner"):
        raise ValueError("--once has a meaning for --role dealer and --role model-owner only")
    if args.images is not None and not _is_cohort(args.input):
        raise ValueError("--images is of a cohort file; an image file is one image")
    if args.no_localize and _is_cohort(args.input):
        raise ValueError("--no-localize is of an image file; a cohort's images are cut already")
    if args.input is not None and args.role in ("dealer", "model-owner"):
        raise ValueError(f"a {args.role} reads no images; leave {args.input} out")


def _serve(args: argparse.Namespace) -> None:
    from medpriv_lib.encrypted.parties import serve_dealer, serve_model_owner
    from medpriv_lib.encrypted.session import Address
    from medpriv_lib.encrypted.wire import TIMEOUT

    # the others may start meanwhile, on a busy machine for minutes
    at, wait = Address.of(args.listen), 5 * TIMEOUT if args.once else None
    if args.role == "dealer":
        serve_dealer(at, args.certificates, say, args.once, wait)
        return
    import torch

    from medpriv_lib.recognition.judges import Judges

    torch.set_num_threads(1)
    network, dealer = Judges.load(args.weights).disease, Address.of(args.dealer)
    serve_model_owner(network, at, dealer, args.certificates, say, once=args.once, timeout=wait)


def _read(args: argparse.Namespace) -> None:
    from medpriv_lib.pipeline.infer import infer, infer_with_parties

    classes = two_names(args.classes)
    images = _images(args)
    if args.role == "data-owner":
        from medpriv_lib.encrypted.session import Address

        places = Address.of(args.model_owner), Address.of(args.dealer)
        found = infer_with_parties(images, *places, args.certificates)
    else:
        found = infer(
            images, encrypted=args.encrypted, processes=args.encrypted, weights=args.weights
        )
    _show(found, classes)
    if args.weights is None and args.role is None and not _is_cohort(args.input):
        say(f"caution: {SYNTHETIC}")


def _is_cohort(path: str | None) -> bool:
    return path is None or Path(path).suffix == ".npz"


def _show(found: "Inference", classes: tuple[str, ...]) -> None:
    for number, (logits, decision) in enumerate(zip(found.logits, found.decisions, strict=True)):
        shown = ", ".join(f"{value:.4f}" for value in logits)
        say(f"image {number}: {classes[decision]} (logits {shown})")
    if not found.rounds:
        return
    say(
        f"per image: {found.comparisons} comparisons, {found.rounds} rounds, "
        f"{found.sent / 1e6:.2f} MB sent and {found.received / 1e6:.2f} MB received by the data "
        f"owner, {found.seconds:.2f} s; before it {found.key_bytes / 2e6:.0f} MB from the dealer "
        "to each party"
    )
    for party, what in found.saw.items():
        say(f"the {party} saw {what}")


def _images(args: argparse.Namespace) -> np.ndarray:
    path = args.input
    if _is_cohort(path):
        if args.right:
            raise ValueError("--right is of an image file; a cohort's right eyes are mirrored")
        images = load_cohort(path).of(args.split).images
        few = FEW if args.encrypted or args.role else len(images)
        return images[: args.images or few]
    from medpriv_lib.pipeline.explain import read_case

    return read_case(path, args.size, right=args.right, localize=not args.no_localize)[None]
