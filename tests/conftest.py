"""What several test files need and what takes seconds to make."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: a long one that begins last leaves the other cores idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # stable: otherwise as they were


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
