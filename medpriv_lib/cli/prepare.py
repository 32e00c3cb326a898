"""turn a folder of images into a cohort file

Examples:
  medpriv prepare eyes/ --kind synthetic --out cohort.npz       make the synthetic eyes in eyes/
  where there are none medpriv prepare Warsaw-v2.1/ --kind warsaw --out warsaw.npz   the licensed
  set medpriv prepare xrays.csv --kind manifest --no-localize --out xrays.npz
                                                                file,patient,label[,eye]; images
                                                                that are not eyes
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medpriv_lib.cli.options import require_parent, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="a folder, or the CSV of a manifest")
    parser.add_argument("--kind", choices=("synthetic", "warsaw", "manifest"), required=True)
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="the cohort file to write, .npz"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE where it exists")
    parser.add_argument(
        "--size", type=int, default=64, help="height and width in pixels (default 64)"
    )
    parser.add_argument(
        "--no-localize", action="store_true", help="keep the centred square: for images of no eyes"
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
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the split and of synthetic eyes; 0 (default) gives the cohort of the package",
    )


def run(args: argparse.Namespace) -> None:
    """Read, prepare, write, and say what was found."""
    from medpriv_lib.data.prepare import prepare

    out = require_parent(args.out)
    if out.suffix != ".npz":
        raise ValueError(f"{out}: a cohort file ends in .npz; name it {out.with_suffix('.npz')}")
    if out.exists() and not args.force:
        raise ValueError(
            f"{out} holds a cohort already; name a new file, or overwrite it with --force"
        )
    listing = _listing(args)
    if args.kind == "manifest" and args.split_by == "image" and not args.keep_single:
        _refuse_single(listing)
    cohort, report = prepare(
        listing,
        size=args.size,
        localize=not args.no_localize,
        split_by=args.split_by,
        seed=args.seed,
    )
    cohort.save(out)
    _print(report, out)


def _listing(args: argparse.Namespace):
    source = Path(args.source)
    if args.kind == "manifest":
        from medpriv_lib.data.manifest import read_manifest

        return read_manifest(source)
    from medpriv_lib.data.warsaw import read_warsaw

    if args.kind == "synthetic" and not source.exists():
        from medpriv_lib.data.synthetic import IMAGES, SEED, write_synthetic

        require_parent(source)
        say(f"drawing synthetic eyes into {source}")
        with tqdm(total=IMAGES, desc="draw", unit="image", disable=None) as bar:
            write_synthetic(
                source, seed=SEED + args.seed, progress=lambda done, total: bar.update(done - bar.n)
            )
    return read_warsaw(source)


def _refuse_single(listing) -> None:
    """Raise for a patient with one image: the identity judge cannot both learn and be tested on
    them.
    """
    names, first, counts = np.unique(listing.patient, return_index=True, return_counts=True)
    alone = np.flatnonzero(counts == 1)
    if len(alone):
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise ValueError(
            f"{listing.name_of(int(first[alone[0]]))}: {str(names[alone[0]])!r}{more} is a patient "
            "with one image, which cannot be in training and in test; add images, remove the row, "
            "use --split-by patient, or accept it with --keep-single"
        )


def _print(report: dict, out: Path) -> None:
    say(
        f"{out}: {report['kept']} of {report['listed']} images of {report['patients']} patients, "
        f"{report['diseased']} diseased; data hash {report['data_hash']}"
    )
    say(
        "splits by {split_by}: {train} train, {val} val, {test} test".format(
            **report, **report["splits"]
        )
    )
    if report["found_rate"] is not None:
        say(f"eyes found: {100 * report['found_rate']:.2f} %")
    for name, error in report.get("error_px", {}).items():
        say(
            f"{name.replace('_', ' ')} error: median {error['median']:.1f} px, 95 % below {error['p95']:.1f} px"
        )
    for title, key in (
        ("no eye found in", "not_found"),
        ("patients with one image", "patients_with_one_image"),
    ):
        if report[key]:
            say(
                f"{title}: {', '.join(map(str, report[key][:8]))}{' and more' if len(report[key]) > 8 else ''}"
            )
    for key, value in report["counts"].items():
        say(f"source {key}: {value}")
