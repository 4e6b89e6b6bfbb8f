"""What a strategy is: a row of phases, made from numbers only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import ONE_F_ONE_B, Policy
from mpiedge.strategy.settings import StrategySettings


class Source(str, Enum):
    """Where the frozen backbone's activations come from during a phase."""

    COMPUTE = "compute"
    RECORD = "record"  # computed, and kept
    REPLAY = "replay"  # read back


class Rounds(str, Enum):
    """What clients send to the server in a phase of rounds."""

    NONE = ""  # there are no rounds
    GRADIENTS = "gradients"
    WEIGHTS = "weights"


@dataclass(frozen=True)
class Work:
    """What is to be laid over the ranks."""

    cost: CostModel  # its layers are the model's, its devices the ranks
    trainable: frozenset[int]  # layers with tuned weights
    micro_batches: int  # of one batch
    batches: int  # of the whole run
    joint_update: bool = False
    epoch: int = 0  # batches of one epoch; 0: the whole run is one
    recorded: bool = False  # the activations of every example are kept already
    keep: bool = False  # they are wanted after the run
    bridge: int | None = None  # the layer where a decoder apart begins
    clients: tuple[int, ...] = ()  # batches of an epoch that are of each client's examples
    examples: tuple[int, ...] = ()  # of each client
    still: int = 0  # layers below have no adapters and are at rest

    @property
    def ranks(self) -> range:
        """The ranks there are."""
        return range(len(self.cost.devices))

    @property
    def layers(self) -> range:
        """The model's layers."""
        return range(len(self.cost.layers))


class Watch(NamedTuple):
    """When a loss has stopped falling."""

    patience: int  # batches over which it is averaged
    tolerance: float  # the part by which it has to fall

    def plateau(self, losses: Sequence[float]) -> bool:
        """Whether the last ``patience`` losses are, on average, hardly below those before."""
        if len(losses) < 2 * self.patience:
            return False
        last, before = losses[-self.patience :], losses[-2 * self.patience : -self.patience]
        return sum(last) > (1 - self.tolerance) * sum(before)


@dataclass(frozen=True)
class Phase:
    """One plan, in force for some batches."""

    plan: PartitionPlan  # its cycle begins with the run's first batch
    batches: int  # at most, where ``until`` or ``watch`` ends it earlier
    policy: Policy = ONE_F_ONE_B
    source: Source = Source.COMPUTE
    evaluation: PartitionPlan | None = None  # the routes of an evaluation; None: the plan's
    entrances: tuple[int, ...] = ()  # layers of which only the input is recorded; none: all made
    until: int = 0  # > 0: the run's batch before which it ends at the latest
    level: int = 0  # phases of a lower level are left out once one has ended at a plateau
    watch: Watch | None = None  # ends the phase where the loss falls no more
    together: int = 64  # batches that are scheduled together
    average_every: int = 0  # > 0: batches between two averages of layers trained apart
    feeders: tuple[Stage, ...] = ()  # ranks that run layers for the routes beside the schedule
    rounds: Rounds = Rounds.NONE  # instead of the schedule
    beforehand: int = 0  # batches whose activations are recorded before the first update

    @property
    def evaluated(self) -> PartitionPlan:
        """The plan by which the model is evaluated."""
        return (self.evaluation or self.plan).frozen()


def layers_of(phase: Phase, rank: int) -> tuple[int, ...]:
    """The layers that a rank trains, runs or evaluates with in a phase."""
    fed = (stage.layers for stage in phase.feeders if stage.rank == rank)
    each = (phase.plan.layers_of(rank), phase.evaluated.layers_of(rank), *fed)
    return tuple(sorted(frozenset().union(*each)))


Strategy = Callable[[StrategySettings, Work], tuple[Phase, ...]]
