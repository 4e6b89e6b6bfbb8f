"""Gradients of inputs first and of weights later are those of one backward pass."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mpiedge.pipeline.backward import Passes, Whole
from mpiedge.pipeline.deferred import Deferred
from tests.models import save_tiny
from tests.runs import difference, run, settings, write_requests


class Two(torch.nn.Module):
    """Frozen weights with two that are trained beside them, as LoRA has them."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.frozen = torch.randn(6, 6, generator=draw)
        self.down = torch.nn.Parameter(torch.randn(6, 2, generator=draw))
        self.up = torch.nn.Parameter(torch.randn(2, 6, generator=draw))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.frozen + 2.0 * x @ self.down @ self.up)

    def tuned_parameters(self) -> dict[str, torch.nn.Parameter]:
        return dict(self.named_parameters())


def gradients(deferred: bool) -> list[torch.Tensor]:
    """Of both weights over three micro-batches, and of what entered."""
    model: Any = Two()
    later: Passes = Deferred(model) if deferred else Whole()
    found = []
    for number in range(3):
        x = torch.randn(4, 6, generator=torch.Generator().manual_seed(number)).requires_grad_()
        y = model(x)
        given = torch.ones_like(y) * (number + 1)
        later.make([y], [given], [x])
        assert number or (model.down.grad is None) is deferred
        assert x.grad is not None
        found.append(x.grad)
    assert later.one() is deferred
    later.all()
    assert not later.one()
    return [*found, model.down.grad, model.up.grad]


def test_they_are_the_same() -> None:
    for one, other in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_what_left_may_be_a_view_or_a_loss() -> None:
    model: Any = Two()
    later, x = Deferred(model), torch.ones(2, 6, requires_grad=True)
    later.make([model(x)[:1]], [torch.ones(1, 6)], [x])
    later.make([model(x).sum()], [None], [x])
    later.all()
    other: Any = Two()
    z = torch.ones(2, 6, requires_grad=True)
    (other(z)[:1].sum() + other(z).sum()).backward()
    assert x.grad is not None
    assert z.grad is not None
    torch.testing.assert_close(x.grad, z.grad)
    torch.testing.assert_close(model.up.grad, other.up.grad)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_pipeline_trains_the_same(family: str, tmp_path: Path) -> None:
    data = write_requests(tmp_path / "requests")
    model = save_tiny(family, tmp_path / family, blocks=4)
    found = []
    for later in (False, True):
        training = {
            "optimizer": "sgd",
            "learning_rate": 0.5,
            "max_steps": 6,
            "weights_later": later,
        }
        given = settings(model, data, strategy={"name": "pipeline"}, training=training)
        found.append(run(given, 3, tmp_path / f"{later}"))
    assert difference(*found) < 1e-6
    assert len(found[0].losses) == 6


def test_servers_of_a_split_train_the_same(tmp_path: Path) -> None:
    data = write_requests(tmp_path / "requests")
    model = save_tiny("bert", tmp_path / "bert", blocks=4)
    found = []
    for later in (False, True):
        given = settings(
            model,
            data,
            strategy={"name": "split", "cuts": [1], "servers": 2, "clients": 2},
            training={"optimizer": "sgd", "learning_rate": 0.5, "weights_later": later},
            cache={"folder": str(tmp_path / "cache")},
        )
        found.append(run(given, 3, tmp_path / f"{later}"))
    assert difference(*found) < 1e-6


def test_where_nothing_is_waited_for_nothing_is_left_for_later() -> None:
    model: Any = Two()
    later = Deferred(model)
    later.make([model(torch.ones(2, 6)).sum()], [None], [])
    assert model.down.grad is not None
    assert not later.one()
