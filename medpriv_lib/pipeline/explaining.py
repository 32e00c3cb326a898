"""What a method and its settings must be to explain: asked before the networks are read."""

from collections.abc import Mapping
from typing import Any

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizer


def require_explaining(
    method: str, settings: Mapping[str, Any], cohort: Cohort | None = None
) -> None:
    """Raise `ValueError` for settings out of range, and for a method that forms its groups among
    the images that it is given: here these are the few cases of one page. With the `cohort` that
    the cases are of, also where its patients are too few for the settings.
    """
    cls = privatizer(method)
    cls.check(settings)
    whole = {one.name: one.default for one in cls.parameters} | dict(settings)
    if cls.averages_from(whole) == "given":
        form = " --form release" if whole.get("form") == "release" else ""
        raise ValueError(
            f"--method {method}{form} averages the images that it is given, and an explanation "
            "gives it the few cases of one page, which may be of one patient; use --method "
            "k-same-select --form query, which averages training patients"
        )
    if cohort is not None and cls.needs == "patients":
        cls.ready(Resources(cohort), **settings)
