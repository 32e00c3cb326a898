"""Prepare images as a cohort, also without an installed package; the arguments are those of
`medpriv prepare`.

python data_scripts/prepare.py SOURCE --kind synthetic|warsaw|manifest --out cohort.npz
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
