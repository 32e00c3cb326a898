"""A site's app and a coordinator's app over Flower: the same in a notebook and as processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.serverapp import Grid, ServerApp

from medpriv_lib.core.randomness import fresh
from medpriv_lib.federation.aggregation import arrays_of
from medpriv_lib.federation.coordinator import Coordinator, Outcome
from medpriv_lib.federation.local import Fit, fit_site
from medpriv_lib.federation.log import Note, logging_mod
from medpriv_lib.federation.plan import network_of, require_same_protocol, training_of
from medpriv_lib.federation.private.at_site import Guard, fit_privately
from medpriv_lib.federation.private.demand import demand_of
from medpriv_lib.federation.refusal import discreet, unanswered
from medpriv_lib.federation.sites import Site
from medpriv_lib.federation.validation import counts_at, score
from medpriv_lib.recognition.networks import Recogniser

GeneratorOf = Callable[[int], torch.Generator]
GuardOf = Callable[[Site], Guard | None]
MEMORY = "medpriv"  # the name under which a site's context keeps what it has answered


def site_app(
    site: Site | Callable[[Context], Site],
    *,
    fit: Fit = fit_site,
    generator_of: GeneratorOf | None = None,
    mods: Sequence[Mod] = (),
    phases: Sequence[str] = (),
    note: Note | None = None,
    guard: GuardOf | None = None,
) -> ClientApp:
    """Return the app of one site.

    It trains by `fit` with the generator that `generator_of(round)` returns (None: from the
    operating system's entropy), and counts how its validation images are called. `site` may be a
    function of the node's context, for a process that learns from there which cohort is its own.
    `mods` wrap every message, the first one outermost; the names in `phases` are further queries
    that the mods answer; `note` is told what left with each reply. Where `guard` returns one, the
    site takes part in private rounds only and tells no counts of validation images. An error leaves
    the site as one line; where it is not one that this library words, as its kind alone, for it may
    hold paths.
    """
    app = ClientApp(mods=[*([logging_mod(note)] if note else []), discreet, *mods])
    draw = generator_of or (lambda number: fresh())

    def own(context: Context) -> Site:
        return site if isinstance(site, Site) else site(context)

    def guarded(mine: Site) -> Guard | None:
        return guard(mine) if guard else None

    @app.train()
    def train(message: Message, context: Context) -> Message:
        told = _told(message)
        _answer_once(told, context)
        mine = own(context)
        network = _network(message, told, mine)
        settings, asked, own_guard = training_of(told), demand_of(told), guarded(mine)
        if asked is None and own_guard is None:
            update = fit(network, mine, settings, draw(told["round"]))
        else:
            generator, left = draw(told["round"]), int(told["left"])
            update = fit_privately(network, mine, settings, asked, own_guard, generator, left)
        metrics = MetricRecord({**update.metrics, "patients": update.patients})
        return _reply(message, told, mine, arrays=arrays_of(update.weights), metrics=metrics)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        told = _told(message)
        mine = own(context)
        if guarded(mine) is not None:
            raise ValueError(
                f"site {mine.name} tells no counts of validation images: they would leave without "
                "noise"
            )
        if mine.val is None:
            return _reply(message, told, mine, metrics=MetricRecord({"images": 0}))
        network = _network(message, told, mine)
        counts = counts_at(score(network.eval(), mine.val), mine.val.diseased)
        metrics = MetricRecord(
            {
                "called": counts.called.tolist(),
                "hit": counts.hit.tolist(),
                "ill": counts.ill,
                "images": counts.images,
            }
        )
        return _reply(message, told, mine, metrics=metrics)

    for name in phases:
        app.query(name)(unanswered)
    return app


def coordinator_app(coordinator: Coordinator, done: Callable[[Outcome], None]) -> ServerApp:
    """Return the app of the coordinator; `done` is called with the outcome."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        done(coordinator.run(grid))

    return app


def _told(message: Message) -> Mapping[str, Any]:
    told = message.content.config_records.get("config")
    if told is None or "arrays" not in message.content.array_records:
        raise ValueError("the coordinator's message holds no weights and no settings")
    require_same_protocol(told)
    return told


def _answer_once(told: Mapping[str, Any], context: Context) -> None:
    """Refuse a round that was answered already: a message that somebody sends a second time."""
    answered = context.state.config_records.get(MEMORY)
    known: dict[str, Any] = dict(answered) if answered else {}
    session, number = str(told["session"]), int(told["round"])
    if number <= int(known.get(session, 0)):
        raise ValueError(f"round {number} was answered already; a message is not answered twice")
    context.state[MEMORY] = ConfigRecord({**known, session: number})


def _network(message: Message, told: Mapping[str, Any], site: Site) -> Recogniser:
    network = network_of(told)
    try:
        network.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"site {site.name}: the coordinator's weights are not those of its network; install "
            "the same version of medpriv on both"
        ) from error
    return network


def _reply(message: Message, told: Mapping[str, Any], site: Site, **records: Any) -> Message:
    config = {"site": site.name, "session": told["session"], "round": told["round"]}
    return Message(RecordDict({**records, "config": ConfigRecord(config)}), reply_to=message)
