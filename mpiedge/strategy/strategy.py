"""What a strategy is: a row of phases, made from numbers only."""

from collections.abc import Callable
from dataclasses import dataclass

from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.schedule import ONE_F_ONE_B, Policy
from mpiedge.strategy.settings import StrategySettings


@dataclass(frozen=True)
class Work:
    """What is to be laid over the ranks."""

    cost: CostModel  # its layers are the model's, its devices the ranks
    trainable: frozenset[int]  # layers with tuned weights
    micro_batches: int  # of one batch
    batches: int  # of the whole run
    joint_update: bool = False

    @property
    def ranks(self) -> range:
        """The ranks there are."""
        return range(len(self.cost.devices))

    @property
    def layers(self) -> range:
        """The model's layers."""
        return range(len(self.cost.layers))


@dataclass(frozen=True)
class Phase:
    """One plan, in force for some batches."""

    plan: PartitionPlan
    batches: int
    policy: Policy = ONE_F_ONE_B


Strategy = Callable[[StrategySettings, Work], tuple[Phase, ...]]
