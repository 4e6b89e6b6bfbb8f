"""What happens at the end of a batch: gradients are summed and clipped, weights move."""

from collections.abc import Mapping

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

    ``done`` of the run's ``steps`` were made before, by an optimizer that left ``moments``.
    """

    def __init__(
        self,
        transport: Transport,
        shard: Shard,
        settings: TrainingSettings,
        steps: int,
        *,
        done: int = 0,
        moments: Mapping[str, tuple[Tensor, ...]] | None = None,
    ) -> None:
        self._transport, self._shard = transport, shard
        self._clip, self._peak = settings.clip_norm, settings.learning_rate
        tuned = shard.tuned_parameters()
        # A rank without tuned weights keeps the same clock: an empty weight stands for them.
        parameters = [tuned[name] for name in sorted(tuned)] or [nn.Parameter(torch.empty(0))]
        self._optimizer = _optimizer(settings, parameters)
        self._schedule = get_scheduler(
            settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
            self._optimizer,
            num_warmup_steps=round(settings.warmup * steps),
            num_training_steps=steps,
        )
        self._go_on(done, moments or {})

    @property
    def moments(self) -> dict[str, tuple[Tensor, ...]]:
        """What the optimizer keeps of each tuned weight; of each equally many tensors."""
        return {
            name: tuple(state[key] for key in _MOMENTS if key in state)
            for name, state in (
                (name, self._optimizer.state[parameter])
                for name, parameter in self._shard.tuned_parameters().items()
            )
        }

    def learning_rate(self, step: int) -> float:
        """The rate of an update, counted from 0."""
        return self._peak * float(self._schedule.lr_lambdas[0](step))

    def __call__(self, plan: PartitionPlan) -> None:
        """Sum over replicas, clip by the global norm, step, and clear the gradients."""
        sum_gradients(self._transport, self._shard, plan)
        if self._clip > 0:
            norm = global_norm(self._transport, self._shard, plan)
            self._scale(min(1.0, self._clip / (norm + 1e-6)))
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()

    def _go_on(self, done: int, moments: Mapping[str, tuple[Tensor, ...]]) -> None:
        self._schedule.last_epoch = done
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate(done)
        for name, parameter in self._shard.tuned_parameters().items():
            if moments.get(name):
                state = zip(_MOMENTS, moments[name], strict=True)
                self._optimizer.state[parameter] = {
                    key: tensor.to("cpu" if key == "step" else parameter.device).clone()
                    for key, tensor in state
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
    return AdamW(parameters, lr=rate, weight_decay=decay)
