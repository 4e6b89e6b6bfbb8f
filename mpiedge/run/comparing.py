"""What every scheme of DEFT would plan for a run's first round, and that as plain values.

Apart from a run's own plans, which are of one scheme and change as rounds are measured.
"""

from dataclasses import dataclass
from math import inf
from typing import Any

from mpiedge.errors import BadInput
from mpiedge.run.allotting import blocks_for, first_clients
from mpiedge.run.opening import Opened
from mpiedge.run.planning import cost_of
from mpiedge.strategy.allotment import Allotment, Client
from mpiedge.strategy.blocks import Block, Table, table, whole
from mpiedge.strategy.comparison import FEDLORA, Comparison, compare
from mpiedge.strategy.registry import IN_ROUNDS
from mpiedge.strategy.roles import roles
from mpiedge.strategy.strategy import Rounds


@dataclass(frozen=True)
class Round:
    """A run's first round by every scheme."""

    blocks: tuple[Block, ...]  # layers of each, nearest the loss first
    payload: tuple[int, ...]  # bytes that a block's gradient has
    clients: tuple[Client, ...]
    homes: tuple[int, ...]  # the rank of each client
    steps: int  # of a client in FedLoRA's round; in the others' one
    full: Table  # what FedLoRA's round takes, in which a client tunes all layers
    found: Comparison


def first_round(opened: Opened, clients: int, micro_batches: int, filling: float = 1.0) -> Round:
    """The first round with so many clients, and micro-batches of a client's batch.

    Computing takes ``filling`` times what it does for micro-batches as large as can be.  Raises
    BadInput for a strategy without rounds, or settings that no round can have.
    """
    settings = opened.settings.strategy
    if settings.name not in IN_ROUNDS:
        raise BadInput(f"strategy {settings.name} has no rounds; use one of {sorted(IN_ROUNDS)}")
    cost, known = cost_of(opened), first_clients(opened, clients)
    blocks = blocks_for(opened, Rounds.GRADIENTS, clients)
    each = _shorter(table(cost, blocks, micro_batches), filling)
    full = _shorter(whole(cost, micro_batches, settings.local_steps), filling)
    home = roles(settings, len(opened.hosts)).home
    return Round(
        blocks=blocks,
        payload=each.payload,
        clients=tuple(known),
        homes=tuple(home(client) for client in range(clients)),
        steps=settings.local_steps,
        full=full,
        found=compare(settings, each, full, known, seed=opened.settings.training.seed),
    )


def _shorter(one: Table, filling: float) -> Table:
    return one._replace(seconds=tuple(filling * seconds for seconds in one.seconds))


def as_values(one: Round) -> dict[str, Any]:
    """The round as plain values; what is infinite is null."""
    tables, found = one.found.tables, one.found
    return {
        "blocks": [list(block) for block in one.blocks],
        "clients": [
            {"client": k, "rank": one.homes[k], **vars(client)}
            for k, client in enumerate(one.clients)
        ],
        "seconds": [list(row) for row in tables.seconds],
        "upload_seconds": [[_finite(each) for each in row] for row in tables.upload],
        "payload_bytes": list(one.payload),
        "memory_bytes": list(tables.memory),
        "fits": [list(row) for row in tables.fits],
        "chosen": found.chosen,
        "schemes": {
            a.scheme: _answer(one, a.scheme, a.allotment, a.trouble) for a in found.answers
        },
    }


def _answer(one: Round, scheme: str, allotment: Allotment | None, trouble: str) -> dict[str, Any]:
    if allotment is None:
        return {"round_seconds": None, "trouble": trouble}
    steps = {"steps": one.steps} if scheme == FEDLORA else {}
    matching = {} if scheme == FEDLORA else {"clients_of_block": holders(one, allotment)}
    return {
        "round_seconds": allotment.seconds,
        "block_of_client": list(allotment.blocks),
        "shares": list(allotment.shares),
        **matching,
        **steps,
    }


def holders(one: Round, allotment: Allotment) -> list[list[int]]:
    """The clients of each block."""
    return [
        [client for client, held in enumerate(allotment.blocks) if held == block]
        for block in range(len(one.blocks))
    ]


def _finite(seconds: float) -> float | None:
    return seconds if seconds < inf else None
