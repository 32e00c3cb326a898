"""What each party of a federated training saw: a table that is read from what left the sites."""

from collections.abc import Mapping, Sequence

from medpriv_lib.federation.log import Left


def seen_by(
    left: Mapping[str, Sequence[Left]], spent: Mapping[str, float], shares: int = 1
) -> dict[str, dict[str, str]]:
    """Return party -> what it "sees", what it learns "with others", and what it is "bounded by".

    `left` and `spent` are those of a `Federation`; `shares` into how many the noise was cut.
    Raises `ValueError` where nothing left.
    """
    pieces = {piece.name for messages in left.values() for m in messages for piece in m.pieces}
    if not pieces:
        raise ValueError("no site has sent anything; run a round first")
    masked = "masked.numbers" in pieces
    updates = f"the sum of {len(left)} updates" if masked else "the update of each site"
    counts = ", counts of validation images" if "metrics.called" in pieces else ""
    bound = f"epsilon {max(spent.values()):.1f} for each patient" if spent else "nothing"
    alone = "nothing" if not spent else f"1/{shares} of the noise's variance"
    update = "a site's update, if all other sites help" if masked else "as alone"
    return {
        "coordinator": {
            "sees": updates + counts,
            "with others": update,
            "bounded by": bound,
        },
        "another site": {
            "sees": "the common weights of each round",
            "with others": "the remaining site's update, if all but one help",
            "bounded by": bound,
        },
        "all but one site, together": {
            "sees": "the update of the last one" if masked else "the common weights",
            "with others": "as alone",
            "bounded by": alone,
        },
        "whoever gets the model": {
            "sees": "the weights after the last round",
            "with others": "as the coordinator",
            "bounded by": bound,
        },
    }
