"""What several test files need and what takes seconds to make."""

import pytest


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory):
    """Return a folder with weights of `toy_cohort()`, trained for a moment; copy it before changing
    anything."""
    from small_cohorts import toy_cohort

    from medpriv_lib.core.budgets import TOY
    from medpriv_lib.pipeline.weights import fit_weights

    folder = tmp_path_factory.mktemp("toy") / "weights"
    fit_weights(toy_cohort(), folder, 0, TOY, "cpu", False)
    return folder
