"""privatise images: DIR/share to give away, DIR/keep never

INPUT is a cohort file (its test images, or --split), a CSV or folder with a CSV
(file,patient,label[,eye]), or a folder of images without one: then every image is a patient of its
own and its label is what the disease judge reads. DIR/share holds shuffled PNGs with neutral names
and no metadata. DIR/keep holds the linkage key.

Examples:
  medpriv privatize cohort.npz --method k-same-select --k 6 --out release/ medpriv privatize
  cohort.npz --method k-same-select --k 6 --form release --split all --out release/ medpriv
  privatize eyes/ --method blur --kernel 9 --out release/ medpriv privatize eyes.csv --method
  pprl-vgan --policy same --out release/ medpriv privatize cohort.npz --method averaged --k 6
  --weights my-weights/ --cohort cohort.npz --out release/
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from medpriv_lib.cli.options import load_cohort, number_patients, require_parent, say
from medpriv_lib.core.cohort import Cohort

METHODS = ("blur", "k-same-select", "pprl-vgan", "averaged")
USES = {
    "k": ("k-same-select", "averaged"),
    "form": ("k-same-select",),
    "kernel": ("blur",),
    "policy": ("pprl-vgan", "averaged"),
    "weights": ("k-same-select", "pprl-vgan", "averaged"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "input", metavar="INPUT", help="a cohort file, a manifest, or a folder of images"
    )
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--k", type=int, help="patients per image, for k-same-select and averaged (default 6)"
    )
    parser.add_argument(
        "--form",
        choices=("query", "release"),
        help="of k-same-select: answer each image with training patients (query, default, as in the "
        "paper), or publish the images as a set in which k patients share each one (release)",
    )
    parser.add_argument("--kernel", type=int, help="width of the blur in pixels, odd (default 9)")
    parser.add_argument(
        "--policy",
        choices=("random", "same", "different"),
        help="who lends the identity, for pprl-vgan and averaged (default random)",
    )
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="made by `medpriv fit` (default: the package's)"
    )
    parser.add_argument(
        "--cohort",
        metavar="FILE",
        help="the cohort of the weights and of the patients to draw from "
        "(default: INPUT where that is a cohort, else the package's)",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="which images of a cohort file (default test)",
    )
    parser.add_argument(
        "--size", type=int, default=64, help="for images: height and width in pixels (default 64)"
    )
    parser.add_argument("--no-localize", action="store_true", help="for images that are no eyes")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of every random choice, the order of the files included",
    )


def run(args: argparse.Namespace) -> None:
    """Privatise and write the release."""
    import torch

    from medpriv_lib.core.sharing import write_release

    for option, methods in USES.items():
        if getattr(args, option) is not None and args.method not in methods:
            raise ValueError(
                f"--{option} has no meaning for {args.method}; it belongs to {' and '.join(methods)}"
            )
    out = _new_folder(args.out)
    given, labels_known = read_input(args)
    gallery = _gallery(args, given)
    method, judge = _method(args, gallery)
    images = (
        given if not args.input.endswith(".npz") or args.split == "all" else given.of(args.split)
    )
    if not labels_known and args.method != "blur":
        images = replace(images, diseased=_read_labels(args, images, judge, gallery))
    if (
        args.form == "release"
    ):  # the contributors are patients of INPUT: number them as every other command will
        numbers, names = number_patients(images.patient_names[images.patient], gallery)
        images = replace(images, patient=numbers, patient_names=names)
    generator = torch.Generator().manual_seed(args.seed)
    release = method.privatize(images, generator)
    parameters = release.parameters | {
        "seed": args.seed,
        "data_hash": None if gallery is None else gallery.hash(),
        "labels_known": labels_known,
        "source_patients": [str(name) for name in images.patient_names[images.patient]],
        "source_labels": images.diseased.tolist(),
    }
    write_release(
        replace(release, parameters=parameters), images, out, np.random.default_rng(args.seed)
    )
    say(
        f"{len(release)} images of {len(np.unique(images.patient))} patients privatised by {release.method}"
    )
    if len(release) > len(images):
        say(
            f"more than the {len(images)} given: a patient with fewer images than the others of a group is in it again"
        )
    say(f"give away: {out / 'share'}")
    say(f"keep to yourself: {out / 'keep'} says whose image each one is")


def _new_folder(path: str) -> Path:
    out = require_parent(path)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} holds something already; name a new or an empty folder: nothing is overwritten"
        )
    return out


def read_input(args: argparse.Namespace) -> tuple[Cohort, bool]:
    """Return the images as a cohort, and whether their labels are known."""
    if args.input.endswith(".npz"):
        return Cohort.load(args.input), True
    from medpriv_lib.data.manifest import read_manifest
    from medpriv_lib.data.prepare import prepare

    path = Path(args.input)
    known = not (
        path.is_dir() and not any(file.suffix.lower() == ".csv" for file in path.iterdir())
    )
    listing = read_manifest(path) if known else _list_images(path)
    cohort, report = prepare(listing, size=args.size, localize=not args.no_localize, seed=args.seed)
    if report["not_found"]:
        say(f"left out, no eye found: {', '.join(report['not_found'])}")
    if args.cohort is None:  # the package's patients are invented: an equal name is no equal person
        cohort = replace(
            cohort, patient_names=np.array([f"input/{name}" for name in cohort.patient_names])
        )
    return cohort, known


def _list_images(folder: Path):
    from medpriv_lib.data.images import SUFFIXES
    from medpriv_lib.data.listing import Listing

    files = tuple(
        sorted(
            file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
        )
    )
    names = [file.relative_to(folder).as_posix() for file in files]
    return Listing(
        files, np.array(names), np.full(len(files), ""), np.zeros(len(files), dtype=bool), folder
    )


def _gallery(args: argparse.Namespace, given: Cohort) -> Cohort | None:
    """Return the cohort whose training patients the method draws from; blur needs none."""
    if args.method == "blur" and args.cohort is None:
        return given if args.input.endswith(".npz") else None
    if args.cohort is None and args.input.endswith(".npz"):
        return given
    return load_cohort(args.cohort)


def _method(args: argparse.Namespace, gallery: Cohort | None):
    """Return the privatizer, ready, and the judges where they had to be loaded for it."""
    k, policy = 6 if args.k is None else args.k, args.policy or "random"
    if args.method == "blur":
        from medpriv_lib.privatizers.blur import Blur

        return Blur(9 if args.kernel is None else args.kernel), None
    if args.method == "k-same-select":
        from medpriv_lib.privatizers.k_same import KSameSelect

        return KSameSelect(k, form=args.form or "query").fit(gallery.of("train")), None
    from medpriv_lib.pipeline.weights import load_weights

    judges, vgan, _ = load_weights(args.weights, gallery, "cpu")
    if args.method == "averaged":
        from medpriv_lib.privatizers.averaging import Averaged

        return Averaged(vgan, k, policy), judges
    return vgan.with_policy(policy), judges


def _read_labels(args: argparse.Namespace, images: Cohort, judges, gallery: Cohort) -> np.ndarray:
    from medpriv_lib.recognition.train import logits

    if judges is None:
        from medpriv_lib.pipeline.weights import load_weights

        judges, _, _ = load_weights(args.weights, gallery, "cpu")
    say("no labels are given: the disease judge's reading of the originals is used")
    return logits(judges.disease, images.images).argmax(1).numpy().astype(bool)
