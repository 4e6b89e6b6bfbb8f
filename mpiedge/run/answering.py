"""Whether a model that was trained to answer does: by generating, and comparing the answers.

Token accuracy and exact match are told what came before each token; here the model is only told
the question.  Of a completion the answer is what follows a mark, as ``#### 42`` in GSM8K.
"""

from collections.abc import Sequence

from mpiedge.comm.values import agree
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.phases import Entered
from mpiedge.run.prediction import generated
from mpiedge.run.preparing import Prepared
from mpiedge.run.reopening import Reopened
from mpiedge.task.task import IGNORED, Encoded, Generative


def answer_match(run: Prepared, here: Entered) -> dict[str, float]:
    """The part of the validation examples that is answered right, on rank 0; called by all.

    Nothing where ``task.answer_mark`` names no mark.
    """
    opened = run.opened
    mark, task = opened.settings.task.answer_mark, opened.task
    if not mark:
        return {}
    assert isinstance(task, Generative)
    # Every route of an evaluation has the whole model, and the first starts on rank 0.
    plan = PartitionPlan(here.phase.evaluated.routes[:1], (0,))
    model = Reopened(opened, plan, here.shard)
    examples: Sequence[Encoded] = run.examples.validation if opened.transport.rank == 0 else ()
    right = 0
    for index in range(agree(opened.transport, len(examples))):
        example = examples[index] if examples else None
        prompt, wanted = (None, ()) if example is None else parted(example)
        found = generated(model, task, prompt, opened.settings.task.max_length)
        said, meant = (answer(task.decoded(tokens), mark) for tokens in (found, wanted))
        right += said is not None and said == meant
    return {"answer_match": right / len(examples)} if examples else {}


def parted(example: Encoded) -> tuple[Encoded, tuple[int, ...]]:
    """A prompt as an example of its own, and the tokens that should follow it."""
    target = example.target
    given = 1 + next((i for i, label in enumerate(target) if label != IGNORED), len(target))
    prompt = Encoded(example.tokens[:given], example.types[:given])
    return prompt, tuple(label for label in target if label != IGNORED)


def answer(text: str, mark: str) -> str | None:
    """The first line behind the last ``mark``, without the commas of large numbers."""
    before, found, after = text.rpartition(mark)
    lines = after.strip().splitlines()
    return lines[0].strip().replace(",", "") if found and lines else None
