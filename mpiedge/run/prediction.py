"""A trained model used on new texts: labels, numbers, or text that is generated.

Generation is greedy and runs the whole text through the model for each token: the simplest thing
that works over any cut of the model.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from mpiedge.comm.values import agree
from mpiedge.model.purpose import Purpose
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.feed import Feed
from mpiedge.pipeline.turns import Settled
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.evaluation import Evaluation, observe, sizes
from mpiedge.run.reopening import Reopened
from mpiedge.task.task import Encoded, Generative

Text = tuple[str, ...]
Answer = dict[str, str | float]


class _Logits:
    """An objective that keeps the logits: all of a row, or of its last token."""

    def judged(self, labels: Tensor) -> None:
        return None

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError("a prediction trains nothing")

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits if logits.dim() == 2 else logits[:, -1]).double()


def predict(model: Reopened, texts: Sequence[Text], most: int) -> Iterator[Answer]:
    """An answer for each text, on rank 0, with at most ``most`` generated tokens; else nothing.

    Every rank calls it, with the texts on rank 0.
    """
    task = model.opened.task
    examples = task.encode(texts) if texts else []
    if not model.opened.purpose.generates:
        logits = _run(model, examples)
        yield from () if logits is None else map(task.describe, logits)
        return
    assert isinstance(task, Generative)
    if model.opened.purpose is Purpose.SEQ2SEQ:
        most = min(most, model.opened.blueprint.longest or most)
    for _ in range(agree(model.opened.transport, len(examples))):
        example = examples.pop(0) if examples else None
        tokens = generated(model, task, example, most)
        if example is not None:
            yield {"text": task.decoded(tokens)}


def generated(
    model: Reopened, task: Generative, example: Encoded | None, most: int
) -> tuple[int, ...]:
    """The tokens that follow an example, on rank 0, which has it; called by every rank."""
    tokens: tuple[int, ...] = ()
    going = True
    while going:
        logits = _run(model, [] if example is None else [task.continued(example, tokens)])
        if logits is not None:
            tokens = (*tokens, int(logits[0].argmax()))
            going = len(tokens) < most and tokens[-1] != task.end
        going = agree(model.opened.transport, going)
    return tokens[:-1] if tokens and tokens[-1] == task.end else tokens


def _run(model: Reopened, examples: Sequence[Encoded]) -> Tensor | None:
    """The logits of each example on rank 0, in their order."""
    opened = model.opened
    transport, size = opened.transport, opened.settings.training.micro_batch_size
    count = agree(transport, len(examples))
    evaluation = Evaluation(
        plan=PartitionPlan(model.plan.routes, (0,)),
        sizes=sizes(count, size),
        portions=tuple(tuple(range(i, min(i + size, count))) for i in range(0, count, size)),
        feed=Feed(opened.task, examples, opened.blueprint.bridge),
    )
    return observe(transport, Engine(transport, model.shard, _Logits(), Settled()), evaluation)
