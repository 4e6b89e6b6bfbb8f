"""What happens at the end of a batch: gradients are summed and clipped, weights move."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from transformers import get_scheduler

from mpiedge.comm.transport import Transport
from mpiedge.model.shard import Shard
from mpiedge.pipeline.overlap import summing
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.pipeline.sync import global_norm, sum_gradients
from mpiedge.plan.partition import PartitionPlan


class Update:
    """One step of the optimizer for the tuned weights that this rank holds.

    ``steps`` are those of the run; ``moments`` were left by an optimizer before.  Gradients are
    summed over ranks as they are, or in the number format ``crossing``.
    """

    def __init__(
        self,
        transport: Transport,
        shard: Shard,
        settings: TrainingSettings,
        steps: int,
        moments: Mapping[str, tuple[Tensor, ...]] = MappingProxyType({}),
        crossing: torch.dtype | None = None,
    ) -> None:
        self._transport, self._shard, self._crossing = transport, shard, crossing
        self._summed = False
        self._apart: list[nn.Parameter] = []
        self._resting: list[nn.Parameter] = []
        self._clip, self._peak = settings.clip_norm, settings.learning_rate
        tuned = shard.tuned_parameters()
        # An optimizer wants something: an empty weight stands for none.
        parameters = [tuned[name] for name in sorted(tuned)] or [nn.Parameter(torch.empty(0))]
        self._optimizer = _optimizer(settings, parameters)
        self._schedule = get_scheduler(
            settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
            self._optimizer,
            num_warmup_steps=round(settings.warmup * steps),
            num_training_steps=steps,
        )
        for name, parameter in tuned.items():
            if moments.get(name):
                self.keep(parameter, moments[name])

    @property
    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """What the optimizer keeps of each tuned weight; of each equally many tensors."""
        return {
            name: self.kept(parameter) for name, parameter in self._shard.tuned_parameters().items()
        }

    def state(self, names: Collection[str]) -> dict[str, tuple[Tensor, ...]]:
        """Some tuned weights, and with each what the optimizer keeps of it."""
        tuned = self._shard.tuned_parameters()
        return {name: (tuned[name], *self.kept(tuned[name])) for name in names}

    def take(self, state: Mapping[str, tuple[Tensor, ...]]) -> None:
        """Go on from the ``state`` of another rank."""
        tuned = self._shard.tuned_parameters()
        for name, (value, *moments) in state.items():
            with torch.no_grad():
                tuned[name].copy_(value)
            if moments:
                self.keep(tuned[name], moments)

    def adopt(self, parameters: Sequence[nn.Parameter]) -> None:
        """Update these too from now on, which are this rank's own and not in the model's names."""
        if parameters:
            self._optimizer.add_param_group({"params": list(parameters)})
            self._apart += parameters

    def rest(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave these as they are in the next update, whatever gradients they have."""
        self._resting += parameters

    def learning_rate(self, step: int) -> float:
        """The rate of an update, counted from 0."""
        return self._peak * float(self._schedule.lr_lambdas[0](step))

    @contextmanager
    def closing(self, plan: PartitionPlan) -> Iterator[None]:
        """Around this rank's last backward pass of a batch, by whose plan it is updated next."""
        crossing = self._crossing
        with summing(self._transport, self._shard, plan, crossing=crossing) as self._summed:
            yield

    def __call__(self, plan: PartitionPlan, step: int) -> None:
        """Make the run's update ``step``, counted from 0, of what a batch's plan trains.

        Sum over replicas, clip by the global norm, step, and clear the gradients.
        """
        if not self._summed:
            sum_gradients(self._transport, self._shard, plan, self._crossing)
        self._summed = False
        for parameter in self._resting:
            parameter.grad = None
        self._resting.clear()
        if self._clip > 0:
            norm = global_norm(self._transport, self._shard, plan, self._apart)
            self._scale(min(1.0, self._clip / (norm + 1e-6)))
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def kept(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        """What the optimizer keeps of a weight."""
        state = self._optimizer.state.get(parameter, {})
        return tuple(state[key] for key in _MOMENTS if key in state)

    def keep(self, parameter: nn.Parameter, moments: Sequence[Tensor]) -> None:
        """Let the optimizer go on from what it kept of a weight."""
        self._optimizer.state[parameter] = {
            key: tensor.to("cpu" if key == "step" else parameter.device).clone()
            for key, tensor in zip(_MOMENTS, moments, strict=True)
        }

    def _scale(self, factor: float) -> None:
        # One that is this rank's own may be in the model now, and must not count twice.
        for parameter in {*self._shard.tuned_parameters().values(), *self._apart}:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of a weight."""


def _optimizer(settings: TrainingSettings, parameters: list[nn.Parameter]) -> Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return SGD(parameters, lr=rate, weight_decay=decay)
    # One pass over each weight instead of some ten: a side network's step is short beside them.
    fused = all(each.device.type == "cpu" for each in parameters)
    return AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
