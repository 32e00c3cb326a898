"""Train every judge of one cohort: of the patient, of the disease, of unseen patients, of the eye.

    python data_scripts/train_judges.py --cohort confounded --out weights/confounded --device cuda

`--cohort` is a file made by `medpriv prepare`, or the name of a cohort that ships. Stopped at any
point, the same command goes on from there; what is finished is kept. The eye judge is trained
twice: for tables, and of another make and seed for choices while something is trained. With
`--population-size N` the expert, which belongs to no cohort, is taught too (`train_expert.py`).
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.data.packaged import packaged_cohort  # noqa: E402
from medpriv_lib.recognition.expert import NAME as EXPERT  # noqa: E402
from medpriv_lib.recognition.expert import Expert  # noqa: E402
from medpriv_lib.recognition.expert_training import reading  # noqa: E402
from medpriv_lib.recognition.eye_judge import fit_eye_judge  # noqa: E402
from medpriv_lib.recognition.fitting import fit_judges  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohort", required=True, help="a file, or confounded or crossed")
    parser.add_argument("--out", required=True, help="folder for the weights")
    parser.add_argument("--device", default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--population-size", type=int, help="people to teach the expert on")
    options = parser.parse_args()
    named = options.cohort in ("confounded", "crossed")
    cohort = packaged_cohort(options.cohort) if named else Cohort.load(options.cohort)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    command = "python data_scripts/train_judges.py " + shlex.join(sys.argv[1:])
    told = {"device": options.device, "command": command, "progress": False}
    if options.population_size:
        script = Path(__file__).with_name("train_expert.py")
        arguments = ["--out", str(out), "--population-size", str(options.population_size)]
        if options.device:
            arguments += ["--device", options.device]
        subprocess.run([sys.executable, str(script), *arguments], check=True)
    judges = fit_judges(cohort, options.seed, out, **told)
    figures = {"judges": judges.card["metrics"]}
    for development in (True, False):
        judge = fit_eye_judge(cohort, out, options.seed, development=development, **told)
        figures[judge.card["kind"]] = judge.card["metrics"]
    if (out / f"{EXPERT}.safetensors").is_file():
        expert = Expert.load(out / EXPERT).to("cpu")
        figures[EXPERT] = reading(expert, cohort.of("test"))
    for name, row in figures.items():
        print(f"{name}: {json.dumps(row)}", flush=True)
    write_json(out / "judges-figures.json", figures)


if __name__ == "__main__":
    main()
