"""privatise images: DIR/share to give away, DIR/keep never

INPUT is a cohort file (its test images, or --split), a CSV or folder with a CSV
(file,patient,label[,eye]), or a folder of images without one: then every image is a patient of its
own and its label is what the disease judge reads. DIR/share holds PNGs with neutral names and no
metadata, in an order that nobody can draw again: it and every random choice come from the operating
system, not from a seed. DIR/keep holds the linkage key, and what it takes to make the release once
more.

Examples:
  medpriv privatize cohort.npz --method k-same-select --k 6 --out release/
  medpriv privatize cohort.npz --method k-same-select --k 6 --form release --split all
      --out release/
  medpriv privatize eyes/ --method blur --kernel 9 --out release/
  medpriv privatize archive/ --method k-same-select --k 6 --form release --split all --out release/
      an archive of `medpriv prepare --archive`; DIR/share has a thousand files a folder
  medpriv privatize eyes.csv --method pprl-vgan --policy same --out release/
  medpriv privatize cohort.npz --method averaged --k 6 --weights my-weights/ --cohort cohort.npz
      --out release/
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medpriv_lib.cli.naming import naming
from medpriv_lib.cli.options import (
    SIZE,
    add_methods,
    add_reading,
    load_cohort,
    offered,
    printing,
    require_parent,
    say,
    settings_of,
)
from medpriv_lib.cli.spreading import add_spreading, spreading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.core.release import Release
    from medpriv_lib.pipeline.prepare import Images

STOPPED = "nothing was written"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "input", metavar="INPUT", help="a cohort file, a manifest, or a folder of images"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    add_methods(parser)
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
        help="which images of a cohort file (default test)",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=("png", "dicom"),
        default="png",
        help="of the images in DIR/share: PNG (default), or DICOM secondary captures with nothing "
        "copied from any input",
    )
    add_reading(parser)
    add_spreading(parser)
    parser.set_defaults(size=None)  # whether somebody asked for a size


def run(args: argparse.Namespace) -> None:
    """Privatise and write the release."""
    from medpriv_lib.core.sharing import write_release
    from medpriv_lib.core.workplace import reserved
    from medpriv_lib.data.archive.archive import is_archive
    from medpriv_lib.data.choices import Care, Cut
    from medpriv_lib.pipeline.prepare import as_strangers, read_images
    from medpriv_lib.pipeline.privatize import numbered_as, privatize, refuse_text

    settings, of_a_cohort = settings_of(args), args.input.endswith(".npz")
    in_chunks = is_archive(args.input)
    _refuse_without_meaning(args, of_a_cohort or in_chunks, in_chunks)
    args.size, args.split = args.size or SIZE, args.split or "test"
    if args.weights is not None and offered()[args.method].needs == "nothing":
        raise ValueError(f"--weights has no meaning for {args.method}, which needs none")
    _refuse_among_originals(args.input, args.out)
    if args.form == "dicom":
        from medpriv_lib.core.extra import DICOM

        DICOM.need("pydicom")  # before any work
    if in_chunks:
        _archive(args, settings)
        return
    with reserved(_new_folder(args.out)) as place:
        given = read_images(
            args.input,
            Cut(args.size, not args.no_localize, args.colour),
            Care(args.least_kept, args.doubles),
            progress=None,
        )
        if args.cohort is None and not of_a_cohort:
            given = as_strangers(given)
        gallery = _gallery(args, given.cohort, of_a_cohort)
        images = given.cohort
        if of_a_cohort and args.split != "all":
            images = images.of(args.split)
        if gallery is not None:
            images = numbered_as(gallery, images)
        with naming(settings):
            release = privatize(
                images,
                args.method,
                gallery=gallery,
                weights=args.weights,
                labelled=given.labelled,
                note=say,
                **settings,
            )
        if args.form == "dicom":
            refuse_text(release)
        left_out = {item.file: item.reason for item in given.left_out}
        write_release(release, images, args.out, left_out=left_out, place=place, form=args.form)
    with printing(Path(args.out)):
        _report(args, release, images, given)


def _archive(args: argparse.Namespace, settings: dict[str, Any]) -> None:
    """Privatise an archive part by part."""
    from medpriv_lib.data.archive.archive import Archive
    from medpriv_lib.pipeline.archive.privatize import privatize_archive

    archive, out = Archive.open(args.input), require_parent(args.out)
    needs = offered()[args.method].needs
    gallery = args.cohort
    if gallery is None and needs == "weights":
        raise ValueError(
            f"{args.method} draws from the patients of its weights; name their cohort by --cohort"
        )
    if gallery is None and needs != "nothing" and settings.get("form") != "release":
        gallery = args.input
    size = archive.shape[0]
    settings = offered()[args.method].suited(size) | settings
    count = privatize_archive(
        archive,
        args.method,
        out,
        split=args.split,
        gallery=gallery,
        weights=args.weights,
        files=args.form,
        progress=None,
        **spreading(args),
        **settings,
    )
    say(f"{count} images privatised by {args.method}, in parts: {out / 'keep' / 'parts'}")
    _say_settings(args.method, settings, size)
    say(
        "warning: each picture was compared with the originals of its own part only, and no "
        "attack reads such a release: attack one of a cohort of the same kind before"
    )
    say(f"give away: {out / 'share'}")
    say(f"keep to yourself: {out / 'keep'} says whose image each one is")


def _report(
    args: argparse.Namespace, release: "Release", images: "Cohort", given: "Images"
) -> None:
    patients = len(set(images.patient.tolist()))
    count, out = len(release), Path(args.out)
    say(f"{count} images of {patients} patients privatised by {release.method}")
    _say_settings(args.method, release.parameters, images.images.shape[1])
    if count > len(images):
        say(
            f"more than the {len(images)} given: a patient with fewer images than the others of a "
            "group is in it again"
        )
    if given.shared:
        first, second = given.shared[0]
        more = f" ({len(given.shared) - 1} more such pairs)" if len(given.shared) > 1 else ""
        say(
            f"warning: {first} and {second} are one picture, and count as two patients{more}: an "
            "image may hide among fewer people than it seems"
        )
    for mark in given.marks:
        say(
            f"warning: the same lines stand in all images, {mark}: a burned-in text survives "
            "averaging; look at what is shared"
        )
    for doubt in given.doubts:
        say(f"warning: {doubt}")
    if given.left_out:
        where = out / "keep" / "left_out.csv"
        say(f"{len(given.left_out)} files were left out: {where} says which, and why")
    say(f"give away: {out / 'share'}")
    say(f"keep to yourself: {out / 'keep'} says whose image each one is")


def _say_settings(method: str, settings: "Mapping[str, Any]", size: int) -> None:
    text = offered()[method].said(settings, size)
    if text:
        say(text)


def _refuse_without_meaning(args: argparse.Namespace, of_a_cohort: bool, in_chunks: bool) -> None:
    """Raise for an option that would change nothing: somebody expects something of it."""
    if of_a_cohort and (args.size is not None or args.colour):
        option = "--colour" if args.size is None else "--size"
        raise ValueError(
            f"{option} has no meaning for a cohort file, whose images are prepared already; give "
            "it to `medpriv prepare`"
        )
    if not in_chunks and (args.workers is not None or args.scheduler is not None):
        raise ValueError("--workers and --scheduler have a meaning for an archive only")
    if not of_a_cohort and args.split is not None:
        raise ValueError(
            f"--split has no meaning for {args.input}: only a cohort file has splits; leave it "
            "out, and all images are privatised, or prepare a cohort first"
        )


def _refuse_among_originals(source: str, out: str) -> None:
    """Raise where the release would lie in the folder of originals, and be given away with them."""
    folder, new = Path(source).resolve(), Path(out).resolve()
    if folder.is_dir() and new.is_relative_to(folder):
        raise ValueError(
            f"--out {out} lies inside {source}, the folder of the originals: the release would be "
            "mixed with them, and be read as originals next time; name a folder outside"
        )


def _new_folder(path: str) -> Path:
    from medpriv_lib.core.sharing import refuse_inside

    out = require_parent(path)
    refuse_inside(out.parent, "a new release, with its key,")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} holds something already; name a new or an empty folder: nothing is overwritten"
        )
    return out


def _gallery(args: argparse.Namespace, given: "Cohort", of_a_cohort: bool) -> "Cohort | None":
    """Return the cohort whose training patients the method draws from; some methods need none."""
    if args.cohort is None and of_a_cohort:
        return given
    if args.cohort is None and offered()[args.method].needs == "nothing":
        return None
    return load_cohort(args.cohort)
