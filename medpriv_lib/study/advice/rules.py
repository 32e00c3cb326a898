"""The rules of the guide as data: which requirements a situation sets, and which methods are tried
in which order.

A rule never names the method that is recommended where figures decide. It names *candidates*, those
that give away least first, and *needs*, lines of the verdict; the first candidate whose lines all
hold in the results is recommended, and where none does: do not release.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from medpriv_lib.study.advice.questions import HAVE, HOLDS, SEES, SURVIVE, Situation

NOTHING = "nothing"  # the recommendation "do not release"
HIDDEN, FROM_SOURCE, LENDS = "hidden", "hidden from who holds the source", "lends nobody"
MEMBERS = "members hidden"

# what has to hold, by what must survive and by what the viewers hold
BY_SURVIVAL: Mapping[str, tuple[str, ...]] = {
    "eye": ("intelligible", LENDS),
    "disease": ("intelligible", LENDS, "disease", "no signs added"),
    "signs": ("intelligible", LENDS, "disease", "no signs added", "evidence"),
}
BY_HOLDING: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "photographs": (HIDDEN,),
    "source": (HIDDEN, FROM_SOURCE),
}


@dataclass(frozen=True)
class Method:
    """What can be recommended: `name`, its row (`experiment`, `set`) in the tables or its key in a
    results file, a `title` and a `step` for people, and the `page` that explains it.

    `apart` says that the picture is drawn without looking at the source, so that it hides the
    source by construction.
    """

    name: str
    row: tuple[str, str]
    title: str
    step: str
    page: str
    apart: bool = False


METHODS = {
    one.name: one
    for one in (
        Method(
            NOTHING,
            ("", ""),
            "Do not release",
            "Keep the pictures where they are. Show an invented eye instead, or invite the viewer "
            "to where the pictures are kept.",
            "the-attackers-view",
        ),
        Method(
            "original",
            ("baseline", "original test set"),
            "Show the original, inside",
            "Show the case in the system that holds it, with access rights and a log. Make no "
            "copy.",
            "explaining-with-cases",
        ),
        Method(
            "stranger",
            ("control", "stranger"),
            "Show an eye that a program drew",
            "Use eyes of nobody, drawn by the renderer. The picture is an illustration and has to "
            "say so.",
            "a-yardstick",
            apart=True,
        ),
        Method(
            "class-mean",
            ("control", "mean image of the label"),
            "Show the mean image of the label",
            "One picture for all cases with this label.",
            "a-yardstick",
        ),
        *(
            Method(
                f"k-same-{k}",
                ("k-same-select", f"{k} identities, release form"),
                f"K-Same-Select, release form, K = {k}",
                "Release the whole set once. Record the groups, and release no second set of the "
                "same patients.",
                "k-same-select",
            )
            for k in (12, 9, 6, 3)
        ),
        Method(
            "averaged",
            ("pprl-vgan", "average of 6 with the same pathology"),
            "Averages of six generated images",
            "Keep the draws secret, and release one average a case.",
            "averaged-sets",
        ),
        Method(
            "pprl-vgan",
            ("pprl-vgan", "identities with the same pathology"),
            "PPRL-VGAN",
            "Ask the patients who lend their identity.",
            "pprl-vgan",
        ),
        Method(
            "sign-transfer-freed",
            ("sign-transfer", "pupil freed where no sign is found"),
            "Sign transfer, pupil freed where no sign is found",
            "Paint what the network reads as signs on an invented eye. A clinician compares each "
            "release with its case.",
            "sign-transfer",
        ),
        Method(
            "sign-transfer-fixed",
            ("sign-transfer", "pupil of one size"),
            "Sign transfer, pupil of one size",
            "Paint what the network reads as signs on an invented eye, whose pupil is half the "
            "iris. A clinician compares each release with its case.",
            "sign-transfer",
        ),
        Method(
            "sign-transfer-tenths",
            ("sign-transfer", "pupil in steps of a tenth"),
            "Sign transfer, pupil in steps of a tenth",
            "Paint what the network reads as signs on an invented eye. A clinician compares each "
            "release with its case.",
            "sign-transfer",
        ),
        Method(
            "sign-transfer-kept",
            ("sign-transfer", "pupil kept"),
            "Sign transfer, pupil kept",
            "Paint what the network reads as signs on an invented eye. A clinician compares each "
            "release with its case.",
            "sign-transfer",
        ),
        *(
            Method(
                f"blur-{k}",
                ("blur", f"kernel {k}"),
                f"Blur, kernel {k}",
                "State the kernel: whoever looks can undo most of a blur.",
                "blur",
            )
            for k in (21, 15, 9, 3)
        ),
        Method(
            "federated",
            ("batch of 4", ""),
            "Federated learning",
            "Send updates of several images each, and write down which party could collude with "
            "which.",
            "federated-learning",
        ),
        Method(
            "aggregated",
            ("masked", ""),
            "Federated learning with secure aggregation",
            "Mask the updates so that the coordinator sees only their sum.",
            "secure-aggregation",
        ),
        *(
            Method(
                f"private-{epsilon}",
                (f"lira/{epsilon}", f"cohort/embedding/patient/{epsilon}.0/115"),
                f"Differential privacy, the patient as unit, epsilon = {epsilon}",
                "Teach the last layer only, on features of a network that met no patient. Write "
                "down epsilon, delta, and every further training on the same patients.",
                "differential-privacy",
            )
            for epsilon in (8, 3, 1)
        ),
        Method(
            "kept-network",
            ("lira/none", "cohort/embedding/patient/none/115"),
            "Use the network inside",
            "Keep the weights as you keep the pictures: with access rights and a log.",
            "the-attackers-view",
        ),
        Method(
            "plain-network",
            ("lira/none", "cohort/embedding/patient/none/115"),
            "Hand the network over under the contract",
            "Forbid passing it on. Answer with a decision rather than with scores.",
            "the-attackers-view",
        ),
        Method(
            "own-computer",
            ("baseline", "original test set"),
            "Let the network read the picture on your own computer",
            "Install the network where the picture is. Nothing leaves.",
            "recognition-networks",
        ),
        Method(
            "encrypted",
            ("baseline", "original test set"),
            "Encrypted inference between two parties who do not collude",
            "Find a second party whom you trust not to work together with the network's owner.",
            "encrypted-inference",
        ),
    )
}
SHOWING = tuple(METHODS)[2 : tuple(METHODS).index("federated")]  # least given away first


@dataclass(frozen=True)
class Rule:
    """One rule: `when` all these questions are answered so, the `candidates` are tried in their
    order against `needs`.

    `needs` "tables" takes the requirements of `BY_SURVIVAL` and `BY_HOLDING`; `holds` replaces what
    the viewers hold. `reason` says why the rule is so.
    """

    when: Mapping[str, tuple[str, ...]]
    candidates: tuple[str, ...]
    reason: str
    needs: tuple[str, ...] | Literal["tables"] = ()
    holds: str = ""

    def fits(self, situation: Situation) -> bool:
        """Say whether the rule is about this situation."""
        return all(situation[name] in answers for name, answers in self.when.items())

    def requirements(self, situation: Situation) -> tuple[str, ...]:
        """Return the lines of the verdict that have to hold in a situation."""
        if self.needs != "tables":
            return self.needs
        holding = BY_HOLDING[self.holds or situation[HOLDS]]
        return BY_SURVIVAL[situation[SURVIVE]] + holding


PRIVATE = ("private-8", "private-3", "private-1")
RULES = (  # the first that fits
    Rule(
        {HAVE: ("pictures",), SEES: ("ward",)},
        ("original",),
        "Who treats the patient may see the picture. A privatised copy would show less and could "
        "be carried out of the house.",
    ),
    Rule(
        {HAVE: ("pictures",), SEES: ("anybody",), HOLDS: ("nothing", "photographs")},
        SHOWING,
        "What anybody can get is not known and grows. Somebody has another photograph of the "
        "patient.",
        "tables",
        holds="photographs",
    ),
    Rule(
        {HAVE: ("pictures",), HOLDS: ("nothing",)},
        SHOWING,
        "Without a picture of the patient nobody can compare. The contract has to keep it so: the "
        "attacker's figure says what one photograph would change.",
        "tables",
    ),
    Rule(
        {HAVE: ("pictures",)},
        SHOWING,
        "The viewers can compare what you show with pictures that they hold.",
        "tables",
    ),
    Rule(
        {HAVE: ("training",), SEES: ("ward",)},
        ("federated",),
        "Each hospital keeps its pictures, and the hospitals trust each other with their updates.",
    ),
    Rule(
        {HAVE: ("training",), SEES: ("partner",)},
        ("aggregated",),
        "A coordinator outside the hospitals must not see a single hospital's update.",
    ),
    Rule(
        {HAVE: ("training",), SEES: ("anybody",)},
        PRIVATE,
        "Whoever has the finished network can ask it about each patient. Only noise in the "
        "training bounds what the answers tell.",
        (MEMBERS,),
    ),
    Rule(
        {HAVE: ("network",), SEES: ("ward",)},
        ("kept-network",),
        "The network stays with those who hold the pictures.",
    ),
    Rule(
        {HAVE: ("network",), SEES: ("partner",), HOLDS: ("nothing",)},
        ("plain-network",),
        "Asking a network about a patient takes a picture of the patient, and these people have "
        "none.",
    ),
    Rule(
        {HAVE: ("network",)},
        PRIVATE,
        "Whoever holds a picture can ask the network whether this patient taught it.",
        (MEMBERS,),
    ),
    Rule(
        {HAVE: ("query",), SEES: ("ward",)},
        ("own-computer",),
        "Picture and network are in one house.",
    ),
    Rule(
        {HAVE: ("query",), SEES: ("partner",)},
        ("encrypted",),
        "Both parties compute on shares. A share alone is a uniformly random number.",
    ),
    Rule(
        {HAVE: ("query",), SEES: ("anybody",)},
        (),
        "The protocol protects against parties who follow it and do not collude. Nobody vouches "
        "for that where the parties are not named.",
    ),
)


def rule_for(situation: Situation) -> Rule:
    """Return the first rule that fits. Raises `LookupError` where none does."""
    for one in RULES:
        if one.fits(situation):
            return one
    raise LookupError(f"no rule for {dict(situation)}")


def asked(situation: Situation) -> tuple[str, ...]:
    """Return the questions whose answers matter, what one has and who sees it being answered: those
    that the rules for this read up to the first that asks nothing more.
    """
    found = {HAVE, SEES}
    for one in RULES:
        if all(situation[n] in one.when[n] for n in (HAVE, SEES) if n in one.when):
            found |= {*one.when} | ({HOLDS, SURVIVE} if one.needs == "tables" else set())
            if set(one.when) <= {HAVE, SEES}:
                break  # no later rule is reached
    return tuple(name for name in (HAVE, SEES, HOLDS, SURVIVE) if name in found)
