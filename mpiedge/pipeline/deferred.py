"""A backward pass in two: first what the stage before waits for, later what only the update needs.

    whole    | gradients of inputs and weights |  -> send
    in two   | of inputs | -> send ... | of weights |, while there is nothing else to do

SplitFrozen's decomposed backward pass, as zero-bubble pipelines do it (arXiv 2401.10241), by what
torch has for them.  With adapters in frozen layers the second part is small.
"""

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.model.shard import Shard


class Deferred:
    """The passes of weights that are still to be made, in their order.

    Raises BadInput where torch was built without what this needs.
    """

    def __init__(self, shard: Shard) -> None:
        try:
            from torch.distributed.pipelining import _backward  # noqa: PLC0415
        except ImportError as failure:
            raise BadInput(
                f"training.weights_later needs torch with distributed pipelining, and this one has "
                f"none ({failure}); set it to false"
            ) from failure
        self._shard, self._passes = shard, _backward
        self._waiting: deque[Callable[[], object]] = deque()

    def make(
        self, left: list[Tensor], gradients: Sequence[Tensor | None], entered: list[Tensor]
    ) -> None:
        """Give what ``entered`` its gradients; those of weights wait where that matters to others.

        ``gradients`` are of what ``left``; None where that is the loss.
        """
        if not entered:
            torch.autograd.backward(left, gradients)
            return
        weights = list(self._shard.tuned_parameters().values())
        # torch detaches the outputs in place, which a view does not let it.
        outputs = [tensor.clone() if tensor._is_view() else tensor for tensor in left]
        given = [gradient for gradient in gradients if gradient is not None] or None
        _, groups = self._passes.stage_backward_input(outputs, given, entered, iter(weights))
        self._waiting.append(lambda: self._passes.stage_backward_weight(iter(weights), groups))

    def one(self) -> bool:
        """Make the oldest pass of weights; whether there was one."""
        if not self._waiting:
            return False
        self._waiting.popleft()()
        return True

    def all(self) -> None:
        """Make all that wait."""
        while self.one():
            pass
