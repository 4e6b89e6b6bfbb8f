"""What happens at the end of a batch: gradients are summed and clipped, weights move."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from transformers import get_scheduler

from mpiedge.comm.transport import Transport
from mpiedge.model.shard import Shard
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.pipeline.sync import global_norm, sum_gradients
from mpiedge.plan.partition import PartitionPlan


class Update:
    """One step of the optimizer for the tuned weights that this rank holds.

    ``steps`` are those of the run; ``moments`` were left by an optimizer before.
    """

    def __init__(
        self,
        transport: Transport,
        shard: Shard,
        settings: TrainingSettings,
        steps: int,
        moments: Mapping[str, tuple[Tensor, ...]] = MappingProxyType({}),
    ) -> None:
        self._transport, self._shard = transport, shard
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
                self._keep(parameter, moments[name])

    @property
    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """What the optimizer keeps of each tuned weight; of each equally many tensors."""
        return {
            name: self._moments(parameter)
            for name, parameter in self._shard.tuned_parameters().items()
        }

    def state(self, names: Collection[str]) -> dict[str, tuple[Tensor, ...]]:
        """Some tuned weights, and with each what the optimizer keeps of it."""
        tuned = self._shard.tuned_parameters()
        return {name: (tuned[name], *self._moments(tuned[name])) for name in names}

    def take(self, state: Mapping[str, tuple[Tensor, ...]]) -> None:
        """Go on from the ``state`` of another rank."""
        tuned = self._shard.tuned_parameters()
        for name, (value, *moments) in state.items():
            with torch.no_grad():
                tuned[name].copy_(value)
            if moments:
                self._keep(tuned[name], moments)

    def learning_rate(self, step: int) -> float:
        """The rate of an update, counted from 0."""
        return self._peak * float(self._schedule.lr_lambdas[0](step))

    def __call__(self, plan: PartitionPlan, step: int) -> None:
        """Make the run's update ``step``, counted from 0, of what a batch's plan trains.

        Sum over replicas, clip by the global norm, step, and clear the gradients.
        """
        sum_gradients(self._transport, self._shard, plan)
        if self._clip > 0:
            norm = global_norm(self._transport, self._shard, plan)
            self._scale(min(1.0, self._clip / (norm + 1e-6)))
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _moments(self, parameter: nn.Parameter) -> tuple[Tensor, ...]:
        state = self._optimizer.state.get(parameter, {})
        return tuple(state[key] for key in _MOMENTS if key in state)

    def _keep(self, parameter: nn.Parameter, moments: Sequence[Tensor]) -> None:
        self._optimizer.state[parameter] = {
            key: tensor.to("cpu" if key == "step" else parameter.device).clone()
            for key, tensor in zip(_MOMENTS, moments, strict=True)
        }

    def _scale(self, factor: float) -> None:
        for parameter in self._shard.tuned_parameters().values():
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
