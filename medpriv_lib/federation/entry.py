"""What Flower's process of a site imports: one process for each message.

It learns what it is from the environment of the command that started it, which no message carries:
the cohort's file, name, log, roster and ledger. So a site's own conditions, masks and a budget, are
none that a coordinator could change. What exchanges keys and shares needs no torch, whose import
takes longer than the answer: only a message to train or to count images imports it.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from medpriv_lib.federation.log import Left, logging_mod, to_file
from medpriv_lib.federation.refusal import discreet, unanswered
from medpriv_lib.federation.secure_aggregation.identity import Identity, Roster
from medpriv_lib.federation.secure_aggregation.site_mod import PHASES, masking_mod

if TYPE_CHECKING:  # they import torch
    from medpriv_lib.federation.private.at_site import Guard
    from medpriv_lib.federation.sites import Site

SITE = "MEDPRIV_SITE"  # JSON in the environment


def _own() -> dict[str, Any]:
    return json.loads(os.environ[SITE])


def _note(left: Left) -> None:
    log = _own()["log"]
    if log is not None:
        to_file(Path(log))(left)


def _enrolled(context: Context) -> tuple[Identity, Roster]:
    masks = _own()["masks"]
    return Identity.read(masks["identity"]), Roster.read(masks["roster"])


def _masks(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Mask what leaves, where the site was started with a roster."""
    if _own().get("masks") is None:
        return call_next(message, context)
    return masking_mod(_enrolled)(message, context, call_next)


client = ClientApp(mods=[logging_mod(_note), discreet, _masks])
for phase in PHASES:
    client.query(phase)(unanswered)


@client.train()
@client.evaluate()
def work(message: Message, context: Context) -> Message:
    """Answer a message that needs the site's images."""
    from medpriv_lib.federation.apps import site_app

    return site_app(_site, guard=_guard)(message, context)


def _site(context: Context) -> "Site":
    import torch

    from medpriv_lib.core.cohort import Cohort
    from medpriv_lib.federation.sites import Site

    torch.set_num_threads(1)
    own = _own()
    return Site.of(Cohort.load(own["cohort"]), own["name"])


def _guard(site: "Site") -> "Guard | None":
    """Return what the site insists on, where it was started with a budget."""
    from medpriv_lib.federation.private.at_site import Guard
    from medpriv_lib.federation.private.ledger import Ledger

    own = _own()
    if own.get("budget") is None:
        return None
    ledger = Ledger(site=site.name, patients=site.patients, **own["budget"])
    masks = own.get("masks")
    return Guard(ledger, Roster.read(masks["roster"]).threshold if masks else 1)
