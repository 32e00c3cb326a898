"""The places of the map: what is run for each, and why the others are empty."""

from collections.abc import Mapping
from dataclasses import dataclass

from medpriv_lib.pipeline.deep_radiomics import SLOTS, DeepRadiomics

STAGES = {
    "collect": "rows of people, on their way to one place",
    "release": "vectors, on their way to a training",
    "train": "gradients and models, while they are made",
    "infer": "the vector that is asked about",
    "explain": "the picture that is shown",
}
CASES, FEW = 24, 20  # of each fold: explained by a case; patients asked about under encryption
FEWER = 10  # of them where each takes seconds
PARTS = 2  # of five patients' folds are held out, each in a training of its own


@dataclass(frozen=True)
class Cell:
    """One place: the `stage`, the `technology` (its title), the declaration that is `run`, the
    `features` (radiomics or deep), and in how many `parts` of five patients are left out.
    """

    stage: str
    technology: str
    run: DeepRadiomics
    name: str
    features: str = "radiomics"
    parts: int = PARTS

    @property
    def key(self) -> str:
        """The name of the cell in the file of results."""
        return "/".join((self.stage, self.name, self.features, f"{self.run.epsilon:g}"))


def cells() -> list[Cell]:
    """Return all cells that the pipeline runs, the cheap ones first."""
    found = []
    for stage, there in SLOTS.items():
        for name, technology in there.items():
            settings: dict = {stage: name}
            settings |= {"queries": CASES} if stage == "explain" else {}
            settings |= {"few": FEWER if "picture" in name else FEW} if stage == "infer" else {}
            found.append(Cell(stage, technology.title, DeepRadiomics(**settings), name))
    for epsilon in (1.0, 8.0):
        for stage, name in (("release", "local"), ("train", "private"), ("train", "shares")):
            run = DeepRadiomics(**{stage: name}, epsilon=epsilon)  # type: ignore[arg-type]
            found.append(Cell(stage, SLOTS[stage][name].title, run, name))
    found.append(Cell("train", "all vectors in one place", DeepRadiomics(), "pooled", "deep"))
    slow = (
        "vertical",
        "synthetic",
        "generated",
        "ckks",
        "ckks-shared",
        "ckks-shared-picture",
        "sign-transfer",
        "pprl-vgan",
        "enclave-oblivious",
    )
    return sorted(found, key=lambda one: one.name in slow)


# what a technology of each stage works on, and what is therefore missing elsewhere
WORKS_ON: Mapping[str, str] = {
    "collect": "identifiers, and facts about people",
    "release": "vectors that leave their place",
    "train": "the gradients, activations or votes of a training",
    "infer": "a vector that is asked about, and a finished model",
    "explain": "pictures",
}


def reason(made_for: str, stage: str) -> str:
    """Return why a technology that is made for one stage has no number at another one."""
    return f"it works on {WORKS_ON[made_for]}; this arrow carries {STAGES[stage]}"
