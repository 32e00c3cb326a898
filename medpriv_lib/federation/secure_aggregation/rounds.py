"""A whole round in one process: sites and coordinator take turns, and some sites drop out."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt64

from medpriv_lib.federation.secure_aggregation.coordinator import Coordinator
from medpriv_lib.federation.secure_aggregation.member import Member
from medpriv_lib.federation.secure_aggregation.messages import Masked

Before = Literal["advertise", "share", "mask", "agree", "reveal"]


def aggregate(
    sites: Mapping[int, Member],
    numbers: Mapping[int, UInt64[np.ndarray, " n"]],
    round_number: int,
    gone: Mapping[Before, Collection[int]] | None = None,
    about: bytes = b"",
    see: Callable[[Any], None] | None = None,
) -> UInt64[np.ndarray, " n"]:
    """Return the sum of the numbers of the sites that stayed until their numbers were sent.

    `gone` says before which step which sites are lost. `see` is called with every message that the
    coordinator gets. The last entry of `fixed_point.encode` rides along like any other. Errors as
    of `Member` and `Coordinator`.
    """
    gone = gone or {}
    roster = next(iter(sites.values())).roster
    count = len(next(iter(numbers.values())))
    coordinator = Coordinator(roster, round_number, count, about)

    def hear(message: Any) -> None:
        if see is not None:
            see(message)
        coordinator.receive(message)

    def staying(step: Before, among: Collection[int]) -> list[int]:
        return [number for number in among if number not in gone.get(step, ())]

    present = staying("advertise", sorted(sites))
    for number in present:
        hear(sites[number].advertise(round_number))
    told = coordinator.keys()
    present = staying("share", present)
    for number in present:
        hear(sites[number].share(told))
    inboxes = coordinator.inboxes()
    present = staying("mask", present)
    for number in present:
        masked: Masked = sites[number].mask(inboxes[number], numbers[number], about)
        hear(masked)
    listed = coordinator.survivors()
    present = staying("agree", present)
    for number in present:
        hear(sites[number].agree(listed))
    signed = coordinator.agreements()
    for number in staying("reveal", present):
        hear(sites[number].reveal(signed))
    return coordinator.total()
