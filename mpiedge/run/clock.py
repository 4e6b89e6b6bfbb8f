"""How updates make up epochs, and between which of them something else happens."""

from collections.abc import Iterator
from dataclasses import dataclass

_AHEAD = 64  # updates played at once: within them, frozen stages run ahead


@dataclass(frozen=True)
class Clock:
    """The row of updates of a run, counted from 0."""

    examples: int
    batch_size: int
    epochs: int
    max_steps: int = 0
    evaluate_every: int = 0
    batches: int = 0  # > 0: updates of an epoch, where not every batch is full

    @property
    def epoch(self) -> int:
        """Updates of an epoch."""
        return self.batches or -(-self.examples // self.batch_size)

    @property
    def steps(self) -> int:
        """Updates of the run."""
        steps = self.epochs * self.epoch
        return min(steps, self.max_steps) if self.max_steps else steps

    def examples_before(self, step: int) -> int:
        """Examples trained on in the first ``step`` updates."""
        epochs, rest = divmod(step, self.epoch)
        return epochs * self.examples + min(rest * self.batch_size, self.examples)

    def portions(
        self, start: int, stop: int, together: int = _AHEAD, every: int = 0
    ) -> Iterator[range]:
        """The updates from ``start`` to ``stop`` in portions with nothing in between.

        A portion has at most ``together``, and ends where the run comes to a multiple of ``every``.
        """
        while start < stop:
            end = min(stop, start + together, (start // self.epoch + 1) * self.epoch)
            for each in (each for each in (self.evaluate_every, every) if each):
                end = min(end, (start // each + 1) * each)
            yield range(start, end)
            start = end

    def evaluates(self, step: int) -> bool:
        """Whether the model is evaluated after ``step`` updates."""
        return step % (self.evaluate_every or self.epoch) == 0 or step == self.steps
