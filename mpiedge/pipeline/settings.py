"""The section ``[training]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and in what portions is trained."""

    epochs: int = setting(3, "passes over the training examples")
    max_steps: int = setting(0, "> 0 ends earlier, after so many updates")
    batch_size: int = setting(32, "examples of one update, over all ranks")
    micro_batch_size: int = setting(8, "examples that move through the model together")
    learning_rate: float = setting(5e-4, "the peak of the schedule")
    optimizer: str = setting("adamw", "how weights are updated", choices=("adamw", "sgd"))
    weight_decay: float = setting(0.0, "decoupled decay (adamw) or L2 penalty (sgd)")
    schedule: str = setting(
        "linear",
        "how the learning rate falls after the warm-up",
        choices=("linear", "cosine", "constant"),
    )
    warmup: float = setting(0.06, "part of all updates during which the learning rate rises")
    clip_norm: float = setting(1.0, "largest norm of the gradient over all ranks; 0: no limit")
    evaluate_every: int = setting(0, "> 0: evaluate every so many updates; 0: after every epoch")
    seed: int = setting(0, "decides the order of examples, new weights and dropout")
