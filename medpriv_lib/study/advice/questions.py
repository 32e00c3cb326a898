"""The four questions of the guide, and which of them matter for whom."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HAVE, SEES, HOLDS, SURVIVE = "have", "sees", "holds", "survive"


@dataclass(frozen=True)
class Question:
    """One question: `name` in code, its `text`, and `answers`, from their names to their texts."""

    name: str
    text: str
    answers: Mapping[str, str]


QUESTIONS = (
    Question(
        HAVE,
        "What do you have?",
        {
            "pictures": "Pictures of patients, which somebody else shall look at",
            "training": "Pictures in several hospitals, which shall teach one network",
            "network": "A network taught on patients, which somebody else shall use",
            "query": "One picture, which somebody else's network shall read",
        },
    ),
    Question(
        SEES,
        "Who sees what leaves?",
        {
            "ward": "Only those who treat the patients or keep their pictures already",
            "partner": "Named people elsewhere, bound by a contract",
            "anybody": "Anybody: a lecture, an article, a public archive",
        },
    ),
    Question(
        HOLDS,
        "What do these people hold, or can they get?",
        {
            "nothing": "No picture of these patients",
            "photographs": "Other photographs of some patients, with their names",
            "source": "The very pictures, as the archive or a second system has them",
        },
    ),
    Question(
        SURVIVE,
        "What must survive?",
        {
            "eye": "A picture of this kind; nothing about a patient",
            "disease": "Whether the case is ill or healthy",
            "signs": "The signs of this very patient",
        },
    ),
)

Situation = Mapping[str, str]  # a question's name -> an answer's name


def situations() -> Iterator[dict[str, str]]:
    """Yield every combination of answers, the last question changing fastest."""
    for answers in itertools.product(*(one.answers for one in QUESTIONS)):
        yield dict(zip((one.name for one in QUESTIONS), answers, strict=True))


def checked(situation: Situation) -> dict[str, str]:
    """Return the situation. Raises `ValueError` naming the question and its answers for an answer
    that there is not.
    """
    for one in QUESTIONS:
        if situation.get(one.name) not in one.answers:
            raise ValueError(
                f"{one.name}={situation.get(one.name)!r} answers no question; {one.text} "
                f"One of: {', '.join(one.answers)}"
            )
    return dict(situation)
