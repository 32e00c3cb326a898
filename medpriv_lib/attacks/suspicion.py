"""Rates below guessing: no protection, but an attacker led astray or an experiment gone wrong.

Nobody who knows nothing does worse than guessing. A rate clearly below says that the attacker was
pointed at somebody else: by the method, which shows another real patient, to an attacker who knows
originals only; or by the experiment, which told equal images under other names.
"""

from dataclasses import replace

from medpriv_lib.attacks.finding import Finding

EXPECTED = 3  # hits: a guess that is expected less often than that may fail to come at all
RATES = ("rank1", "linkage_auc")


def clearly_below(found: Finding, measure: str) -> bool:
    """Tell whether the whole interval of a measure lies below what guessing scores."""
    if measure not in found.intervals or measure not in found.chance:
        return False
    guess = found.chance[measure]
    return found.n * guess >= EXPECTED and found.intervals[measure][1] < guess


def below_guessing(found: Finding) -> Finding:
    """Return the finding of a naming or linking attack with a note where it is clearly below
    guessing.
    """
    if found.kind not in ("naming", "linking") or found.target != "source":
        return found
    told = [
        f"{measure} {found.measures[measure]:.3f} is clearly below guessing "
        f"({found.chance[measure]:.3f}): an error of the experiment, or images that point this "
        "attacker to somebody else; no protection"
        for measure in RATES
        if clearly_below(found, measure)
    ]
    return replace(found, note="; ".join([found.note] * bool(found.note) + told)) if told else found
