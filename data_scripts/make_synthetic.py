"""Write the synthetic iris cohort in the Warsaw layout: `python data_scripts/make_synthetic.py
FOLDER`.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.data.synthetic import cohort, write_synthetic  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="a new or empty folder, or one to complete")
    parser.add_argument("--patients", type=int, default=cohort.PATIENTS)
    parser.add_argument("--images", type=int, default=cohort.IMAGES)
    parser.add_argument("--seed", type=int, default=cohort.SEED)
    parser.add_argument("--workers", type=int, default=None, help="processes (default: all cores)")
    parser.add_argument("--suffix", choices=(".bmp", ".png"), default=".bmp")
    options = parser.parse_args()
    quiet = not sys.stderr.isatty()
    start = time.perf_counter()

    def progress(done: int, total: int) -> None:
        if not quiet:
            print(f"\r{done}/{total} images", end="", file=sys.stderr, flush=True)

    try:
        write_synthetic(
            options.folder,
            options.patients,
            options.images,
            options.seed,
            options.workers,
            suffix=options.suffix,
            progress=progress,
        )
    except (ValueError, OSError) as error:
        print(f"make_synthetic: error: {error}", file=sys.stderr)
        return 2
    print(
        f"{options.images} images of {options.patients} patients in {options.folder} "
        f"({time.perf_counter() - start:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
