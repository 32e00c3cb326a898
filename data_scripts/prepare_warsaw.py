"""Prepare the licensed Warsaw set, or a synthetic cohort in its layout.

`python prepare_warsaw.py ROOT --out cohort.npz`.
"""

import argparse
import json

from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.warsaw import read_warsaw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="the folder that holds images-NIR and medical-description-v2-1.csv")
    parser.add_argument("--out", default="cohort.npz")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--split-by", choices=("image", "eye", "patient"), default="image")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cohort, report = prepare(read_warsaw(options.root), options.size, split_by=options.split_by, seed=options.seed)
    cohort.save(options.out)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
