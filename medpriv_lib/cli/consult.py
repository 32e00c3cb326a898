"""ask an archive about an eye: an encrypted decision, and a privatised case beside it

EYE is an image file. Its features are computed here, encrypted here and scored under encryption by
the server, which holds the model and the archive and never sees the eye, its features or the score.
The server sends its whole small gallery of privatised cases to everybody who asks; the case beside
the decision is chosen here, so that the server does not learn which. Without --at the server is a
process of its own on this machine, started for this one question.

Examples:
  medpriv consult eye.png --case case.png
  medpriv consult eye.png --case case.png --archive cohort.npz --method k-same
  medpriv infer --make-certificates keys/
  medpriv consult --serve 0.0.0.0:7602 --certificates keys/ --archive cohort.npz
  medpriv consult eye.png --case case.png --at host:7602 --certificates keys/
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medpriv_lib.cli.options import load_cohort, printing, require_parent, say, two_names, whole

if TYPE_CHECKING:
    from medpriv_lib.pipeline.consult import Consultation

STOPPED = "the session was ended, nothing was written"
METHODS = ("sign-transfer", "k-same", "pprl-vgan", "blur")
SYNTHETIC = (
    "the package's archive is synthetic: no patient is behind its cases, and what is said of a "
    "real image means nothing"
)
SERVER = ("archive", "method", "cases")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("eye", nargs="?", metavar="EYE", help="an image file")
    parser.add_argument("--case", metavar="OUT.png", help="where the privatised case is written")
    parser.add_argument("--force", action="store_true", help="overwrite OUT.png where it exists")
    parser.add_argument(
        "--archive", metavar="FILE", help="of the server: its cohort (default: the package's)"
    )
    parser.add_argument(
        "--method", choices=METHODS, help="of the server: how cases are privatised (default: first)"
    )
    parser.add_argument(
        "--cases", type=whole(6, 1000), metavar="N", help="of the server: how many (default 40)"
    )
    parser.add_argument("--at", metavar="HOST:PORT", help="ask the server that listens there")
    parser.add_argument("--serve", metavar="HOST:PORT", help="be the server, and listen there")
    parser.add_argument("--certificates", metavar="DIR", help="this party's certificate and key")
    parser.add_argument("--once", action="store_true", help="serve one session, then end")
    parser.add_argument("--right", action="store_true", help="EYE is a right eye: it is mirrored")
    parser.add_argument(
        "--no-localize", action="store_true", help="EYE is cut already, as `medpriv prepare` cuts"
    )
    parser.add_argument(
        "--classes",
        default="no disease,disease",
        metavar="A,B",
        help='names of the two readings (default "no disease,disease")',
    )


def run(args: argparse.Namespace) -> None:
    """Serve, or ask, write the case and print what was decided and who saw what."""
    _refuse(args)
    try:
        if args.serve is not None:
            _serve(args)
        else:
            _ask(args)
    except ImportError as error:
        raise ValueError(str(error)) from error


def _refuse(args: argparse.Namespace) -> None:
    if args.serve is not None:
        if args.eye is not None or args.case is not None or args.at is not None:
            raise ValueError("a server reads no eye and asks nobody; leave EYE, --case, --at out")
        if args.certificates is None:
            raise ValueError("--serve needs --certificates; `medpriv infer --make-certificates`")
        return
    if args.eye is None or args.case is None:
        raise ValueError("name an image file, and where its case is written: EYE --case OUT.png")
    if args.once:
        raise ValueError("--once needs --serve")
    if (args.at is None) != (args.certificates is None):
        raise ValueError("--at and --certificates belong together: who asks shows a certificate")
    given = [name for name in SERVER if getattr(args, name) is not None]
    if args.at is not None and given:
        raise ValueError(f"--{given[0]} is the server's to say; leave it out beside --at")


def _serve(args: argparse.Namespace) -> None:
    import torch

    from medpriv_lib.encrypted.session import Address
    from medpriv_lib.encrypted.wire import TIMEOUT
    from medpriv_lib.pipeline.consult import CASES, METHOD, serve_archive

    torch.set_num_threads(1)
    serve_archive(
        load_cohort(args.archive),
        Address.of(args.serve),
        args.certificates,
        say,
        method=args.method or METHOD,
        cases=args.cases or CASES,
        once=args.once,
        timeout=5 * TIMEOUT if args.once else None,
    )


def _ask(args: argparse.Namespace) -> None:
    from PIL import Image

    from medpriv_lib.core.files import atomic_write
    from medpriv_lib.encrypted.session import Address
    from medpriv_lib.pipeline.consult import (
        CASES,
        METHOD,
        SIZE,
        consult,
        consult_on_loopback,
        require_archive,
    )
    from medpriv_lib.pipeline.explain import read_case

    classes, out = two_names(args.classes), _new_file(args)
    at = None if args.at is None else Address.of(args.at)
    image = read_case(args.eye, SIZE, right=args.right, localize=not args.no_localize)[None]
    if at is not None:
        found = consult(image, at, args.certificates)
    else:
        require_archive(load_cohort(args.archive))  # before a server is started
        method, cases = args.method or METHOD, args.cases or CASES
        found = consult_on_loopback(image, args.archive, method, cases)
    with atomic_write(out) as temporary:
        Image.fromarray(found.cases[0]).save(temporary, format="PNG")
    with printing(out):
        _show(found, classes, out)
        if at is None and args.archive is None:
            say(f"caution: {SYNTHETIC}")


def _new_file(args: argparse.Namespace) -> Path:
    from medpriv_lib.core.sharing import refuse_inside

    out = require_parent(args.case)
    refuse_inside(out, "a case of an archive")
    if out.is_dir() or out.suffix.lower() != ".png":
        raise ValueError(f"{out}: a case is one picture; name it {out.with_suffix('.png').name}")
    if out.exists() and not args.force:
        raise ValueError(f"{out} is there already; name a new file, or overwrite it with --force")
    return out


def _show(found: "Consultation", classes: tuple[str, ...], out: Path) -> None:
    told, offer = found.consulted, found.consulted.offer
    reading = classes[int(found.diseased[0])]
    say(f"{reading} (score {told.probability[0]:.3f}, above .5 is {classes[1]}; under encryption)")
    say(
        f"case written to {out}: one of {len(offer.cases)}, filed as "
        f"{classes[int(offer.diseased[found.chosen[0]])]}; shown by {offer.method}, which hides "
        f"{offer.promise.hides} from {offer.promise.whom}, and not against "
        f"{offer.promise.not_against}"
    )
    say(
        f"the server saw {told.keys / 1e6:.0f} MB of public keys and {told.question / 1e3:.0f} kB "
        "of ciphertext: that somebody asked about one image; neither eye, features nor score, and "
        "not which case is shown, for it sent all of them"
    )
    say(
        f"this side saw the score and {told.received / 1e3:.0f} kB: the public scale of the "
        f"features and all {len(offer.cases)} privatised cases; keys and offer took "
        f"{told.seconds[0]:.1f} s, the question {told.seconds[1]:.2f} s"
    )
