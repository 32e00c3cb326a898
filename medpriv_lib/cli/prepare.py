"""turn a folder of images into a cohort file

Examples:
  medpriv prepare eyes/ --kind synthetic --out cohort.npz
      make the synthetic eyes in eyes/ where there are none
  medpriv prepare Warsaw-v2.1/ --kind warsaw --out warsaw.npz
      the licensed set
  medpriv prepare xrays.csv --kind manifest --no-localize --out xrays.npz
      file,patient,label[,eye]; images that are not eyes
  medpriv prepare scans/ --kind dicom --labels labels.csv --mask 0,0,320,40 --out scans.npz
      DICOM files; patients get neutral names, by a salt that scans.keep/ holds
  medpriv prepare scans.csv --kind manifest --no-localize --archive --out scans/
      more images than fit in memory: a folder of chunks; stopped, the same command goes on
"""

import argparse
from pathlib import Path
from typing import Any

from medpriv_lib.cli.options import (
    add_reading,
    add_seed,
    printing,
    rectangle,
    require_parent,
    say,
    whole,
)
from medpriv_lib.cli.spreading import add_spreading, spreading

STOPPED = "nothing was written"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="a folder, or the CSV of a manifest")
    parser.add_argument(
        "--kind", choices=("synthetic", "warsaw", "manifest", "dicom"), required=True
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the cohort file to write, .npz; with --archive a new folder",
    )
    parser.add_argument(
        "--archive",
        action="store_true",
        help="write chunks that are read where they lie, for images that do not fit in memory",
    )
    parser.add_argument(
        "--chunk",
        type=whole(250, 100_000),
        metavar="N",
        help="images of a chunk of an archive, 250 or more (default 1000, fewer of large images)",
    )
    add_spreading(parser)
    parser.add_argument(
        "--force", action="store_true", help="overwrite FILE where it holds a cohort"
    )
    add_reading(parser)
    parser.add_argument(
        "--labels",
        metavar="CSV",
        help="of DICOM files: label and one of SOPInstanceUID, file (below SOURCE) or PatientID",
    )
    parser.add_argument(
        "--mask",
        type=rectangle,
        action="append",
        default=[],
        metavar="X,Y,W,H",
        help="pixels of every image to paint black, as often as needed: where text is burned in",
    )
    parser.add_argument(
        "--allow-burned-in",
        action="store_true",
        help="take DICOM images with text burned in; without this they are left out",
    )
    parser.add_argument(
        "--keep",
        metavar="DIR",
        help="where the salt of the neutral names lies, or is put; never share it "
        "(default FILE with .keep in place of .npz)",
    )
    parser.add_argument(
        "--split-by",
        choices=("image", "eye", "patient"),
        default="image",
        help="what stays together in train, val or test (default image, as in the paper)",
    )
    parser.add_argument(
        "--keep-single",
        action="store_true",
        help="accept patients with one image: they can be in one split only",
    )
    add_seed(
        parser, "of the split and of synthetic eyes; 0 (default) gives the cohort of the package"
    )


def run(args: argparse.Namespace) -> None:
    """Read, prepare, write, and say what was found."""
    from medpriv_lib.core.sharing import refuse_inside

    args.stopped = _stopped(args)
    out = require_parent(args.out)
    refuse_inside(out, "a cohort file, which holds the originals,")
    if args.archive:
        _refuse_name(args, out)
    else:
        _refuse_present(args, out)
    from medpriv_lib.core.salt import write_salt
    from medpriv_lib.data.left_out import COLUMNS, TooManyLost, write_left_out

    listed = _beside(out, ".left_out.csv")
    if listed.exists() and not listed.read_bytes().startswith(",".join(COLUMNS).encode()):
        raise ValueError(f"{listed} is in the way, and not a list of ours; move it away")
    keep = Path(args.keep or _beside(out, ".keep"))
    salt = _salt(args, keep)
    if salt is not None and args.archive:
        write_salt(keep, salt)  # before: a run that goes on must find the same names
    try:
        report = _prepare(args, out, salt)
    except TooManyLost as error:
        write_left_out(listed, error.left_out)
        raise ValueError(f"{error}; {listed} lists them all") from error
    if salt is not None and not args.archive:
        write_salt(keep, salt)
    if report["left_out"]:
        write_left_out(listed, report["left_out"])
    else:
        listed.unlink(missing_ok=True)  # of an earlier run
    with printing(out):
        _print(report, out)
        if salt is not None:
            say(
                f"keep to yourself: {keep} holds the salt that leads from PatientIDs to the names "
                "here"
            )
    if report["left_out"]:
        say(f"{len(report['left_out'])} files were left out: {listed} says which, and why")


def _stopped(args: argparse.Namespace) -> str:
    """Return what to say where this is stopped."""
    if args.archive:
        return "what was finished is kept, the same command goes on from there"
    if args.kind == "synthetic":
        return "no cohort was written; eyes that were drawn are kept, the same command goes on"
    return STOPPED


def _prepare(args: argparse.Namespace, out: Path, salt: bytes | None) -> dict[str, Any]:
    """Write the cohort file or the archive; return the report."""
    from medpriv_lib.core.workplace import reserved
    from medpriv_lib.data.choices import Care, Cut, Split
    from medpriv_lib.data.source import Source
    from medpriv_lib.pipeline.archive.prepare import prepare_archive
    from medpriv_lib.pipeline.prepare import prepare

    cut = Cut(args.size, not args.no_localize, args.colour)
    split = Split(args.split_by, args.seed)
    care = Care(args.least_kept, args.doubles, args.keep_single)
    masks = tuple(args.mask)
    source = Source(args.source, args.kind, args.labels, salt, masks, args.allow_burned_in)
    told: dict[str, Any] = {"note": say, "progress": None}
    if args.archive:
        told |= spreading(args) | {"each": args.chunk}
        return prepare_archive(source, out, cut, split, care, **told)[1]
    with reserved(out):  # a second run into the same file is refused
        _refuse_present(args, out)  # by a run that has ended meanwhile
        cohort, report = prepare(source, cut, split, care, **told)
        cohort.save(out)
    return report


def _beside(out: Path, ending: str) -> Path:
    """Return the name of what lies beside a cohort file or an archive."""
    return out.with_suffix(ending) if out.suffix == ".npz" else out.with_name(out.name + ending)


def _refuse_name(args: argparse.Namespace, out: Path) -> None:
    """Refuse for an archive what would be a cohort file's."""
    if out.suffix == ".npz":
        raise ValueError(f"--out {out}: an archive is a folder; give a name without .npz")
    if args.force:
        raise ValueError("--force has no meaning with --archive; name a new folder")


def _refuse_present(args: argparse.Namespace, out: Path) -> None:
    """Refuse a name that is no cohort file's, and one that exists."""
    if args.chunk is not None or args.workers is not None or args.scheduler is not None:
        raise ValueError("--chunk, --workers and --scheduler have a meaning with --archive only")
    if out.suffix != ".npz":
        raise ValueError(f"{out}: a cohort file ends in .npz; name it {out.with_suffix('.npz')}")
    if not out.exists():
        return
    from medpriv_lib.core.npz import kind_of

    if kind_of(out) != "cohort":
        kept = ", and --force overwrites cohorts only" if args.force else ""
        raise ValueError(f"{out} exists and is no cohort file{kept}; name a new file")
    if not args.force:
        raise ValueError(
            f"{out} holds a cohort already; name a new file, or overwrite it with --force"
        )


def _salt(args: argparse.Namespace, keep: Path) -> bytes | None:
    """Return the salt of neutral names, a former one where `keep` holds it; None for others."""
    from medpriv_lib.core.salt import fresh_salt, read_salt
    from medpriv_lib.core.sharing import refuse_inside

    if args.kind == "dicom":
        refuse_inside(require_parent(keep), "the salt of the neutral names")
        return read_salt(keep) or fresh_salt()
    for option, given in (
        ("--keep", args.keep is not None),
        ("--labels", args.labels is not None),
        ("--allow-burned-in", args.allow_burned_in),
    ):
        if given:
            raise ValueError(
                f"{option} has a meaning for --kind dicom only; leave it out for --kind "
                f"{args.kind}{', whose table has the labels' if option == '--labels' else ''}"
            )
    return None


def _print(report: dict[str, Any], out: Path) -> None:
    from medpriv_lib.data.account import cautions

    say(
        f"{out}: {report['kept']} of {report['listed']} images of {report['patients']} patients, "
        f"{report['diseased']} diseased; data hash {report['data_hash']}"
    )
    say(
        "splits by {split_by}: {train} train, {val} val, {test} test".format(
            **report, **report["splits"]
        )
    )
    localised = report["found_rate"] is not None
    if localised:
        say(f"eyes found: {100 * report['found_rate']:.2f} %")
    for name, error in report.get("error_px", {}).items():
        say(
            f"{name.replace('_', ' ')} error: median {error['median']:.1f} px, "
            f"95 % below {error['p95']:.1f} px"
        )
    for title, key in (
        ("no eye found in" if localised else "not used", "not_found"),
        ("patients with one image", "patients_with_one_image"),
    ):
        if report[key]:
            more = " and more" if len(report[key]) > 8 else ""
            say(f"{title}: {', '.join(map(str, report[key][:8]))}{more}")
    for key, value in report["counts"].items():
        say(f"source {key}: {value}")
    for caution in cautions(report):
        say(f"warning: {caution}")
