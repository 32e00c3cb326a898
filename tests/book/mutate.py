"""A copy of the library with one line changed, so that a test can see whether a chapter's stored
numbers notice."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutation:
    """In `file` of the library, `old` (which stands there once) becomes `new`; `chapter` must
    notice: a number that it stores is another one, or `notices` stands in what the run says."""

    chapter: str
    file: str
    old: str
    new: str
    notices: str = "Cell outputs differ"


MUTATIONS = [
    Mutation(
        "blur",
        "privatizers/blur.py",
        "return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8",
        "return 0.3 * ((kernel - 1) * 0.5 - 1) + 1.1",
    ),
    Mutation(
        "k-same-select",
        "privatizers/k_same.py",
        "groups = group(cohort.images, self.k, order)",
        "groups = group(cohort.images, self.k + 1, order)",
    ),
    Mutation(
        "pprl-vgan",
        "privatizers/vgan/losses.py",
        "return 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance)",
        "return 0.5 * (mu.square() + log_variance.exp() - 1 + log_variance)",
    ),
    Mutation(
        "what-pprl-vgan-releases",
        "privatizers/replacement.py",
        "allowed[rows, known[rows]] = False",
        "allowed[rows, known[rows]] = True",
    ),
    Mutation(
        "several-releases",
        "attacks/intersection.py",
        "return np.logical_and.accumulate(",
        "return np.logical_or.accumulate(",
    ),
    Mutation(
        "averaged-sets",
        "privatizers/averaging.py",
        "drawn[:, 0] = own",
        "drawn[:, 0] = (own + 1) % len(pools.names)",
    ),
    Mutation(
        "explanation-with-deep-taylor",
        "explanation/deep_taylor.py",
        'divider.register_parameter("bias", None)',
        "pass  # biases take their share",
    ),
    Mutation(
        "radiomics",
        "measures/radiomics/glcm.py",
        "contrast = of_difference @ k, of_difference @ k**2",
        "contrast = of_difference @ k, of_difference @ k**3",
    ),
    Mutation(
        "federated-learning",
        "federation/sites.py",
        "weight = 2.0 ** np.arange(sites) if",
        "weight = 9.0 ** np.arange(sites) if",
    ),
    Mutation(
        "encrypted-inference",
        "encrypted/gates.py",
        "seen = mask >> U(IGNORED)",
        "seen = mask >> U(IGNORED + 1)",
    ),
    Mutation(
        "differential-privacy",
        "federation/private/ledger.py",
        "if spent > self.budget:",
        "if spent > 2 * self.budget:",
        "name 'reason' is not defined",  # nothing was refused
    ),
    Mutation(
        "a-yardstick",
        "measures/own_signs.py",
        "won = ((fit < own) + 0.5 * (fit == own)) * other",
        "won = ((fit < own) + 1.0 * (fit == own)) * other",
    ),
    Mutation(
        "confounding",
        "recognition/crossfit.py",
        "return missing == 0, seen",
        "return missing >= 0, seen",
    ),
    Mutation(
        "counterfactuals",
        "explanation/edits.py",
        "below = (images - alpha * signs.v) / (1 - alpha)",
        "below = images - alpha * signs.v",
    ),
    Mutation(
        "disentanglement",
        "privatizers/disentangled/losses.py",
        'target = b[q] if q == p and form == "donor" else a[q]',
        'target = b[q] if q != p and form == "donor" else a[q]',
        "AssertionError",
    ),
    Mutation(
        "sign-transfer",
        "privatizers/sign_transfer/sign_transfer.py",
        "blended = strangers + alpha * (signs.v - strangers)",
        "blended = strangers + alpha * signs.v",
    ),
    Mutation(
        "secure-aggregation",
        "federation/secure_aggregation/fixed_point.py",
        "FRACTION = 24  # bits after the point",
        "FRACTION = 23  # bits after the point",
    ),
    Mutation(
        "combining-them",
        "federation/private/demand.py",
        "return Charge(self.noise, self.rate, self.steps)",
        "return Charge(2 * self.noise, self.rate, self.steps)",
    ),
    Mutation(
        "hybrids",
        "federation/vertical.py",
        "return derivative < 0",
        "return derivative > 0",
    ),
    Mutation(
        "collecting-without-exposing",
        "collection/anonymous_tables/mondrian.py",
        "return patients >= k and len(np.unique(value[rows])) >= different",
        "return patients >= k // 2 and len(np.unique(value[rows])) >= different",
    ),
    Mutation(
        "gradient-inversion",
        "attacks/gradient_inversion/dense.py",
        "values = weight.T @ bias / size",
        "values = weight.T @ bias.abs() / size",
    ),
]


def mutated(mutation: Mutation, folder: Path) -> Path:
    """Make the changed library in `folder` and return what PYTHONPATH must be; files but that one
    are linked.

    Raises `ValueError` where the line does not stand there once: the library has changed, and the
    mutation must follow."""
    source = ROOT / "medpriv_lib"
    for path in source.rglob("*"):
        target = folder / path.relative_to(ROOT)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif "__pycache__" not in path.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    file = folder / "medpriv_lib" / mutation.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise ValueError(
            f"{mutation.file} holds {mutation.old!r} {text.count(mutation.old)} times, not once; "
            "change the mutation with the library"
        )
    file.unlink()
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    return folder
