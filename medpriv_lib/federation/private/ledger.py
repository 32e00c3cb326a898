"""What a site has already released about its patients, and what its budget still allows.

Training is not all: a run that only looks for a good learning rate, and a feature's mean that is
told to the others, say something about the patients, too. All of it is charged before it happens.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from medpriv_lib.core.files import write_json
from medpriv_lib.federation.private.accountant import Charge, Cost, agreed

VERSION = 1
PATIENCE = 30.0  # seconds that a charge waits for another process
KEYS = ("site", "patients", "budget", "delta")


class BudgetSpent(ValueError):
    """What was asked for costs more than the site's patients have left."""


class Ledger:
    """The epsilon of one site: what was charged, and the budget that it may not exceed.

    `site` its name; `patients` how many stand behind it; `budget` the epsilon of all that will ever
    be released about them; `delta` with it. The file is made where it is missing. A charge is
    written before the work that it pays for, so that a killed process has paid. Raises `ValueError`
    for a file that is damaged or belongs to another site, budget or delta, and for a delta above
    1 / patients: it would allow to publish one patient's record whole.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        site: str,
        patients: int,
        budget: float,
        delta: float,
        cost: Cost | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Open the ledger, or begin it; `cost` counts epsilon (None: both accountants, which
        must agree), and a charge waits `patience` seconds for another process.
        """
        if not budget > 0 or patients < 1 or not 0 < delta <= 1 / patients:
            raise ValueError(
                f"budget {budget}, delta {delta}, {patients} patients: choose a budget above 0 and "
                "a delta above 0 and of at most 1 / patients"
            )
        self.path, self.cost, self.patience = Path(path), cost or agreed, patience
        self.site, self.patients, self.budget, self.delta = site, patients, budget, delta
        if not self.path.exists():
            self._write([])
        self.charges()

    def charges(self) -> list[Charge]:
        """Return what was charged, in its order, read from the file."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            found = [Charge(**charge) for charge in content["charges"]]
            head = {key: content[key] for key in ("version", *KEYS)}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path}: not a readable ledger ({error}); restore it from a backup. A new "
                "one would forget what was spent"
            ) from error
        other = [key for key, value in self._head().items() if head[key] != value]
        if other:
            raise ValueError(
                f"{self.path}: the ledger of another {', '.join(other)}: "
                f"{', '.join(str(head[key]) for key in other)}; name its own, or another file"
            )
        return found

    def spent(self) -> float:
        """Return the epsilon of all charges together, the larger of both accountants'."""
        return self.cost(merged(self.charges()), self.delta)

    def charge(self, charge: Charge) -> float:
        """Write a charge down and return the epsilon spent with it.

        Raises `BudgetSpent`, and writes nothing, where the budget does not allow it.
        """
        with self._alone():
            after = merged([*self.charges(), charge])
            spent = self._require(charge, after)
            self._write(after)
        return spent

    def pay(self, charge: Charge, ahead: int = 0) -> None:
        """Write a charge down, as `charge`, and say nothing of what is spent.

        For rounds: where the accountants say once that `ahead` more charges of the kind would fit,
        too, those are not asked about again. Errors as of `charge`.
        """
        with self._alone():
            after = merged([*self.charges(), charge])
            fitting = self._fitting()
            if not _within(after, fitting):
                last = after[-1]
                longer = Charge(last.noise, last.rate, last.steps + ahead * charge.steps, last.kind)
                fitting = [*after[:-1], longer]
                if ahead < 1 or self.cost(fitting, self.delta) > self.budget:
                    fitting = after
                    self._require(charge, after)
            self._write(after, fitting)

    def steps_left(self, noise: float, rate: float, most: int = 10_000) -> int:
        """Return how many more steps of this kind the budget allows, at most `most`."""
        before = self.charges()

        def fits(steps: int) -> bool:
            plan = merged([*before, Charge(noise, rate, steps)])
            return self.cost(plan, self.delta) <= self.budget

        low, high = 0, 1
        while high <= most and fits(high):
            low, high = high, 2 * high
        high = min(high, most + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def _require(self, charge: Charge, after: Sequence[Charge]) -> float:
        """Return what would be spent; raise `BudgetSpent` where that is too much."""
        spent = self.cost(after, self.delta)
        if spent > self.budget:
            raise BudgetSpent(
                f"{self.site}: {charge.kind} of {charge.steps} steps would bring epsilon from "
                f"{self.spent():.2f} to {spent:.2f}, above the budget of {self.budget:g}; stop "
                "here and use the model as it is, plan more noise or fewer steps, or ask the "
                "patients for a larger budget"
            )
        return spent

    def _fitting(self) -> list[Charge]:
        """Return charges that the accountants found to fit, and that were not all made yet."""
        content = json.loads(self.path.read_text(encoding="utf-8"))
        return [Charge(**charge) for charge in content.get("fitting", [])]

    def _head(self) -> dict:
        return {"version": VERSION} | {key: getattr(self, key) for key in KEYS}

    def _write(self, charges: Sequence[Charge], fitting: Sequence[Charge] = ()) -> None:
        parts = {"charges": charges, "fitting": fitting}
        lists = {name: [asdict(one) for one in part] for name, part in parts.items()}
        write_json(self.path, self._head() | lists)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from charging at the same time: both would pay for one."""
        lock, end = self.path.with_suffix(".lock"), time.monotonic() + self.patience
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                if time.monotonic() > end:
                    raise TimeoutError(
                        f"{lock}: another process charges this ledger for {self.patience:.0f} s; "
                        "if none is running, remove the file"
                    ) from None
                time.sleep(0.05)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def merged(charges: Sequence[Charge]) -> list[Charge]:
    """Return the charges with equal neighbours' steps added up: what rounds charge one by one."""
    found: list[Charge] = []
    for charge in charges:
        last = found[-1] if found else None
        if last and (last.noise, last.rate, last.kind) == (charge.noise, charge.rate, charge.kind):
            steps = last.steps + charge.steps
            found[-1] = Charge(charge.noise, charge.rate, steps, charge.kind)
        else:
            found.append(charge)
    return found


def _within(charges: Sequence[Charge], fitting: Sequence[Charge]) -> bool:
    """Return whether the charges are those that fit, up to a last one of no more steps."""
    if len(charges) != len(fitting) or list(charges[:-1]) != list(fitting[:-1]):
        return False
    last, known = charges[-1], fitting[-1]
    same = (last.noise, last.rate, last.kind) == (known.noise, known.rate, known.kind)
    return same and last.steps <= known.steps
