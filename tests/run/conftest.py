"""A tiny model and a little data, for runs."""

from pathlib import Path

import pytest

from tests.models import save_tiny
from tests.runs import write_requests


@pytest.fixture(scope="package")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("models") / "bert", blocks=3)


@pytest.fixture(scope="package")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training examples and 21 to validate, with three labels."""
    return write_requests(tmp_path_factory.mktemp("requests"), rows=24)
