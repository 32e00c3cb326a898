"""Measure sign transfer on invented people whom it was not taught on, under everything that a
hospital's camera may do, and write the figures.

    python data_scripts/measure_sign_transfer.py --out chapters/results/sign-transfer-trials.json

Scenes by the taught families of cameras, by families that were held out, and with a distractor
share of .5 (each condition that is not glaucoma is there in half of the eyes); each as they are, by
camera, and with another zoom, gamma, blur and noise. They go to --scenes-in, rendered once.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.core.weights import shipped  # noqa: E402
from medpriv_lib.privatizers.sign_transfer import validation  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.scenes import (  # noqa: E402
    EYES,
    TARGETS,
    Part,
    render_scenes,
)
from medpriv_lib.privatizers.sign_transfer.sign_transfer import SignTransfer  # noqa: E402

PARTS: dict[str, Part] = {
    "taught cameras": "val",
    "held-out cameras": "held-out",
    "distractors": "distractors",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=Path, help="the JSON file")
    parser.add_argument("--weights", type=Path, help="default: those of the package")
    parser.add_argument("--scenes", type=int, default=288, help="of each part")
    parser.add_argument("--scenes-in", type=Path, help="folder of the scenes")
    parser.add_argument("--scenes-seed", type=int, default=1, help="0: whom the gain was chosen on")
    parser.add_argument("--workers", type=int, help="processes that render (default: all cores)")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    try:
        method = SignTransfer.load(options.weights or shipped(SignTransfer.name))
        network = method.network.to(options.device)
        figures = {}
        for name, part in PARTS.items():
            scenes = render_scenes(
                options.scenes,
                options.scenes_seed,
                part,
                options.scenes_in,
                network.architecture.size,
                options.workers,
            )
            figures[name] = validation.report(network, scenes, options.device, method.calibration)
            print(name, {key: round(value, 3) for key, value in figures[name]["all"].items()})
    except (ValueError, OSError) as error:
        print(f"measure_sign_transfer: error: {error}", file=sys.stderr)
        return 2
    write_json(
        options.out,
        {
            "command": "python " + shlex.join(sys.argv),
            "scenes": options.scenes,
            "eyes": options.scenes * (EYES - TARGETS),
            "seed": options.scenes_seed,
            "gain": method.calibration,
            "parts": figures,
        },
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
