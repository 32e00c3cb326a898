"""Prepare any folder of images with a CSV `file,patient,label[,eye]`.

`python prepare_manifest.py CSV --out cohort.npz`.
"""

import argparse
import json

from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", help="the CSV, or a folder that holds exactly one")
    parser.add_argument("--out", default="cohort.npz")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--no-localize", action="store_true", help="for images that are not eyes")
    parser.add_argument("--split-by", choices=("image", "eye", "patient"), default="image")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cohort, report = prepare(
        read_manifest(options.manifest), options.size, not options.no_localize, options.split_by, options.seed
    )
    cohort.save(options.out)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
