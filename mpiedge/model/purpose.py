"""What a model is fine-tuned for.

Apart from everything that depends on it, because blueprint, adapter and task name it.
"""

from enum import Enum


class Purpose(Enum):
    """What the head of a model computes."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    LANGUAGE = "language"
    SEQ2SEQ = "seq2seq"

    @property
    def generates(self) -> bool:
        """Whether the model answers with text."""
        return self in {Purpose.LANGUAGE, Purpose.SEQ2SEQ}
