"""Judge a submission to the capstone on people whom nobody has seen.

python data_scripts/judge_capstone.py submission.py [--patients 40] [--practice]

The file defines `release(cohort, generator)`, which returns one uint8 picture for each image of the
cohort. The people are invented anew for every call, from the operating system's entropy; with
--practice those of the practice set are taken. Leaves with 1 where the bar is not met. The file is
run as a program: judge only files that you trust.
"""

import argparse
import runpy
import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.study.capstone.judge import judge  # noqa: E402
from medpriv_lib.study.capstone.task import PATIENTS, practice, unseen  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Judge one file; return 0 where every bar is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="defines release(cohort, generator)")
    parser.add_argument("--patients", type=int, default=PATIENTS, help="how many people are shown")
    parser.add_argument("--practice", action="store_true", help="the practice set instead")
    options = parser.parse_args(arguments)
    if not options.file.is_file():
        parser.error(f"{options.file}: no such file; write one that defines release()")
    submission = runpy.run_path(str(options.file)).get("release")
    if not callable(submission):
        parser.error(f"{options.file} defines no function `release(cohort, generator)`")
    seed = secrets.randbits(32)
    task = practice(options.patients) if options.practice else unseen(seed, options.patients)
    found = judge(submission, task, secrets.randbits(63))
    print(found)
    return 0 if found.met else 1


if __name__ == "__main__":
    sys.exit(main())
