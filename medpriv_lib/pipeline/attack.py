"""Attack a release: one in memory, or one read back from its folder."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import FULL, Budget
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.report import Report, report_of, write_report
from medpriv_lib.attacks.scene import Scene, dealt
from medpriv_lib.attacks.setting import Setting, Shared
from medpriv_lib.core import weights as store
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import require_no_file
from medpriv_lib.core.kinds import require_kind
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import size_of
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.measures.anonymity import audit
from medpriv_lib.pipeline import Note, silent
from medpriv_lib.pipeline.patients import neutral_numbers, write_numbers
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.privatizers.registry import again, privatizers
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges

MADE = ("attackers", "keep", "report.html", "report.json")  # what a report's folder may hold
TRIAL = (
    "A trial: the attackers spent one part in {} of the steps of an attack, so that one of them "
    "fails says little."
)
NO_RECOGNISER = (
    "No recogniser of these patients was given (--weights), so the naive attack was not tried."
)


class OtherCohort(ValueError):
    """The release was not made from images of the cohort that was given."""


def attack(
    release: Release,
    cohort: Cohort,
    *,
    weights: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    keep: str | os.PathLike | None = None,
    order: Int64[np.ndarray, " n"] | None = None,
    seed: int = 0,
    budget: Budget = FULL,
    bounded: bool = True,
    notes: Sequence[str] = (),
    note: Note = silent,
) -> Report:
    """Return what attackers find in a release of images of `cohort`.

    The attackers learn from the other images of the cohort, changed by the same method where it can
    be run again, else from half of each patient's released images. `weights` is a folder made by
    `fit` for this cohort; None takes the shipped ones where they are of this cohort, else no
    recogniser is asked. `order` says which released row each shared file is (`read_release` returns
    it), so that the order is attacked, too. `out` is a folder for report.html, report.json and the
    key of its neutral patient numbers; `keep` one for the trained attackers (None: `out`/attackers,
    or nowhere). `notes` are sentences that the report's notes begin with (`TRIAL` for a part of the
    budget). `seed` is that of the attackers; the patients' numbers come from no seed. Raises
    `OtherCohort` where the release was not made from images of this cohort, and `ValueError` where
    `out` holds something else.
    """
    require_kind(release, Release, "release", "attack")
    require_kind(cohort, Cohort, "cohort", "attack")
    rows = rows_of(release, cohort)
    judges, vgan = _networks(weights, cohort)
    given = None if keep is None else require_no_file(keep)
    folder = None if out is None else _own_folder(Path(out))
    kept = given or (None if folder is None else folder / "attackers")
    method, why = _method(release, cohort, vgan, weights)
    scene, lacks = scene_of(release, cohort, rows, method or why, seed)
    spent = budget.within(size_of(cohort.images)) if bounded else budget
    said = [*notes, *lacks]
    if spent != budget:
        said.append(shortened(spent, budget))
    if judges is None:
        said.append(NO_RECOGNISER)
    setting = Setting(
        scenes=[scene],
        attackers=Attackers(cohort, kept, seed, budget=spent, advance=note),
        method=release.method,
        parameters=release.parameters,
        privatizer=privatizers().get(release.method),
        identity=None if judges is None else judges.identity,
        seed=seed,
        shared=None if order is None else Shared(release.images, rows, order),
        maker=method,
    )
    numbers = neutral_numbers(cohort, None if folder is None else folder / "keep")
    groups = audit(_as_rows(release, rows), cohort)  # also of what was told to the attackers
    report = report_of(setting, run(setting), groups, notes=said, numbers=numbers)
    if folder is not None:
        made = {"data_hash": cohort.hash(), "seed": seed, "versions": store.versions()}
        write_numbers(folder / "keep", cohort, numbers)
        write_report(report, folder, made)
    return report


def shortened(spent: Budget, budget: Budget) -> str:
    """Return what a reader has to know of attackers that were trained for less than the study's."""
    now, then = spent.originals, budget.originals
    return (
        f"The attackers of images of this size were trained on batches of {now.batch} images for "
        f"{now.steps} steps, not on {then.batch} for {then.steps}, so that the attack stays "
        "affordable: that one of them fails says less. The whole is spent with bounded=False "
        "(--unbounded)."
    )


def scene_of(
    release: Release,
    cohort: Cohort,
    rows: Int64[np.ndarray, " n"],
    method: Privatizer | str,
    seed: int = 0,
) -> tuple[Scene, list[str]]:
    """Return the scene of a release, and what its attackers lack.

    `rows` are the rows of the cohort that the released images stand for; `method` made them, or
    says why it cannot be run again. Where it can be, the attackers run it on all other images; else
    half of each patient's released images are told to them.
    """
    others = np.setdiff1d(np.arange(len(cohort)), rows)
    why = method if isinstance(method, str) else ""
    if not why and len(others) == 0:
        why = "there were no other images"
    if not isinstance(method, str) and not why:
        try:
            known = method.in_sets(cohort.take(others), seeded(seed, "attacker", release.method))
            scene = Scene(
                cohort,
                release.images,
                rows,
                known.images,
                others[known.source],
                release.contributors,
                known.contributors,
            )
            return scene, []
        except NotApplicable as error:  # too few other patients of a label to form a group
            why = str(error)
    lack = (
        f"The method could not be run again ({why}): the attackers learned from half of each "
        "patient's released images and attacked the rest."
    )
    rng = np.random.default_rng(seed)
    return dealt(cohort, release.images, rows, release.contributors, rng), [lack]


def rows_of(release: Release, cohort: Cohort) -> Int64[np.ndarray, " n"]:
    """Return the rows of the cohort that the released images stand for; raise `OtherCohort` where
    the release was not made from it.
    """
    made_with = release.parameters.get("data_hash")
    try:
        if made_with not in (None, cohort.hash()):
            raise ValueError(f"made with the cohort {made_with}, not with {cohort.hash()}")
        return release.rows_in(cohort)
    except ValueError as error:
        raise OtherCohort(
            f"not made from images of this cohort ({error}), so nobody can say what an attacker "
            "would know; name the cohort file that was privatised by --cohort"
        ) from error


def _as_rows(release: Release, rows: Int64[np.ndarray, " n"]) -> Release:
    """Return the release as one whose sources are rows of the whole cohort."""
    return Release(
        release.images, rows, release.contributors, release.method, dict(release.parameters)
    )


def _networks(
    weights: str | os.PathLike | None, cohort: Cohort
) -> tuple[Judges | None, PPRLVGAN | None]:
    """Return judges and generator of this cohort, or None twice where none are given for one's own
    cohort.
    """
    if weights is None:
        card = store.read_card(store.shipped("judges"))
        if card["data_hash"] != cohort.hash():
            return None, None
    judges, vgan, _ = load_weights(weights, cohort, "cpu")
    return judges, vgan


def _method(
    release: Release, cohort: Cohort, vgan: PPRLVGAN | None, weights: str | os.PathLike | None
) -> tuple[Privatizer | None, str]:
    """Return the method that made a release, ready to run again, or None and why not.

    A method whose weights serve everybody is run with those of the folder, or with the shipped.
    """
    cls = privatizers().get(release.method)
    if cls is None:
        return None, f"the method {release.method!r} is not known here"
    if cls.needs == "weights" and vgan is None and not cls.public:
        return None, "its weights are not known here"
    trained = {} if vgan is None else {vgan.name: vgan}
    folder = None if weights is None else Path(weights)
    return again(release, Resources(cohort, folder, trained)), ""


def require_own_folder(out: Path) -> None:
    """Raise `ValueError` where the folder of a report holds anything that is no report's."""
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    foreign = there - set(MADE) or ("keep" not in there and there & {"report.html", "report.json"})
    if foreign or (out.exists() and not out.is_dir()):
        raise ValueError(f"{out}: holds something else; name a new folder with --out")


def _own_folder(out: Path) -> Path:
    """Make the folder of the report; refuse one that holds something else."""
    require_own_folder(out)
    out.mkdir(exist_ok=True)
    return out
