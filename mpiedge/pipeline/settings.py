"""The section ``[training]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and in what portions is trained."""

    epochs: int = setting(3, "passes over the training examples", least=1)
    max_steps: int = setting(0, "> 0 ends earlier, after so many updates", least=0)
    batch_size: int = setting(32, "examples of one update, over all ranks", least=1)
    micro_batch_size: int = setting(
        8,
        "examples that move through the model together; 0: the planner chooses, for devices that "
        "were measured (strategy.cluster); a dropout's masks depend on it",
        least=0,
    )
    learning_rate: float = setting(5e-4, "the peak of the schedule", above=0)
    optimizer: str = setting("adamw", "how weights are updated", choices=("adamw", "sgd"))
    weight_decay: float = setting(0.0, "decoupled decay (adamw) or L2 penalty (sgd)", least=0)
    schedule: str = setting(
        "linear",
        "how the learning rate falls after the warm-up",
        choices=("linear", "cosine", "constant"),
    )
    warmup: float = setting(
        0.06, "part of all updates during which the learning rate rises", least=0, most=1
    )
    clip_norm: float = setting(
        1.0, "largest norm of the gradient over all ranks; 0: no limit", least=0
    )
    evaluate_every: int = setting(
        0, "> 0: evaluate every so many updates; 0: after every epoch", least=0
    )
    weights_later: bool = setting(
        False,
        "pipelines: gradients for the rank before are made and sent first, those of weights while "
        "nothing else is to be done; the same gradients, and activations are kept for longer",
    )
    report_to: list[str] = setting(
        [],
        "where the course of a run is written as well: tensorboard (for that program, in "
        "tensorboard/), csv (steps.csv and evaluations.csv)",
        choices=("tensorboard", "csv"),
    )
    seed: int = setting(0, "decides the order of examples, new weights and dropout", least=0)
    threads: int = setting(
        0,
        "> 0: torch's threads on each rank; 0: the cores of a machine over its ranks",
        least=0,
        most=4096,
    )
