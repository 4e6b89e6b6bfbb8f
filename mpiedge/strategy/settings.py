"""The section ``[strategy]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class StrategySettings:
    """Which system runs, and how work is laid over the ranks."""

    name: str = setting(
        "pipeline",
        "standalone: one rank; pipeline: the layers cut over all ranks, 1F1B; data-parallel: the "
        "whole model on every rank; pac: a pipeline of replicated stages that keeps what the "
        "frozen model computes, then data-parallel from that; ring: data stays on its device, "
        "blocks in a ring, adapters unfreeze from the top; split: devices run frozen blocks "
        "forward, rank 0 trains the rest; splitlora: devices train their blocks too; deft: every "
        "client tunes a block of its own; fedlora: every client tunes all of them, then they are "
        "averaged",
    )
    cluster: str = setting(
        "",
        "a cluster profile (.toml) on rank 0, as mpiedge profile writes it: what devices and links "
        "are planned by; left out: by strategy.speeds on a network of 1 Gbit/s",
    )
    layers: list[int] = setting(
        [],
        "pipeline: how many layers each rank holds, pac: how many each stage holds, embedding and "
        "head counted; ring: how many blocks each rank of strategy.order holds; left out: planned",
    )
    groups: list[str] = setting(
        [],
        'pac: the ranks of each stage while recording, as in ["0,1", "2"]; left out: planned',
    )
    record: str = setting(
        "auto",
        "pac: first-epoch: what the frozen model makes is kept while the first epoch trains, later "
        "ones are data-parallel; before: it is kept before the first update, and the same stages "
        "train from it; auto: what is expected to be better, first-epoch where groups or layers "
        "are given or, for the goal time, there is no cluster profile",
        choices=("auto", "first-epoch", "before"),
    )
    goal: str = setting(
        "time",
        "pac: what a plan is chosen for; time: that the run ends soonest; memory: that the fullest "
        "device needs least, and then time",
        choices=("time", "memory"),
    )
    mixed: bool = setting(
        True, "pac: whether a stage may have layers of both the encoder and the decoder"
    )
    shares: list[float] = setting(
        [],
        "data-parallel, pac: relative share of a batch for each rank; left out: by speed",
    )
    clients: int = setting(
        0,
        "ring, split: data clients, whatever the number of ranks, dealt to the ranks with data in "
        "turn; 0: as many as task.client_files names, else as there are such ranks",
        least=0,
    )
    server_has_data: bool = setting(
        False, "strategies with a server, rank 0: whether it has clients of its own too"
    )
    order: list[int] = setting(
        [], "ring: ranks in ring order, lowest block first; left out: planned"
    )
    turn: str = setting(
        "batch",
        "ring: how long a client is the initiator: batch: strategy.turn_batches batches; epoch: "
        "all its batches of an epoch; data: a batch, in proportion to its data",
        choices=("batch", "epoch", "data"),
    )
    turn_batches: int = setting(1, "ring: batches of a turn, with turn = batch", least=1)
    unfreeze: str = setting(
        "interval",
        "ring: interval: strategy.step more blocks every strategy.interval batches; plateau: "
        "whenever the loss falls no more",
        choices=("interval", "plateau"),
    )
    depth: int = setting(1, "ring: blocks that are trained at first, counted from the top", least=1)
    step: int = setting(1, "ring: how many blocks more each time; 0: never any", least=0)
    interval: int = setting(20, "ring: batches from one depth to the next; 0: never", least=0)
    depths: list[int] = setting(
        [], "ring: the depths themselves, one an interval or plateau; the last one stays"
    )
    patience: int = setting(
        20, "ring: batches over which the mean loss is compared for a plateau", least=1
    )
    tolerance: float = setting(
        0.01, "ring: a plateau is where the mean loss falls by less than this part", least=0
    )
    prefix_cache: bool = setting(
        False,
        "ring: from the second epoch on, start at the lowest unfrozen block, from what entered it "
        "in the first; kept on the disk of the device that needs it, see cache.folder",
    )
    run_ahead: bool = setting(
        True, "ring: frozen blocks go on with the next batches; false: one batch after the other"
    )
    in_flight: int = setting(
        0, "ring: micro-batches that a stage holds at most; 0: as many as memory allows", least=0
    )
    cuts: list[int] = setting(
        [],
        "split, splitlora: how many blocks run where the data is, one number a client or one for "
        "all; left out: planned, at most those below adapter.lowest",
    )
    servers: int = setting(
        1,
        "split: ranks that serve, 0 up to this, which train what is above the cut as a pipeline",
        least=1,
    )
    window: int = setting(
        0,
        "split: examples of all clients that are shuffled together, each client's in an order of "
        "its own before; 0: the whole epoch, as without clients",
        least=0,
    )
    aggregation: str = setting(
        "point-to-point",
        "split: how the server gets what devices made; point-to-point: a message a micro-batch, "
        "on its way while the server trains; gather: MPI's scatter and gather, once a batch",
        choices=("point-to-point", "gather"),
    )
    credits: int = setting(
        4, "split: micro-batches that a device may be ahead of the server", least=1
    )
    on_loss: str = setting(
        "stop",
        "split: what a device that is told to stop (SIGTERM) does to the run; continue: it sends "
        "nothing more and its examples are left out; for aggregation point-to-point",
        choices=("stop", "continue"),
    )
    replay: bool = setting(
        True,
        "split: from the second epoch on the server reads back what devices sent in the first; "
        "kept on its disk, see cache.folder and cache.dtype",
    )
    visits: str = setting(
        "in-turn",
        "splitlora: in-turn: an update is of one client's batch; parallel: of a batch of every "
        "client, whose devices work at the same time",
        choices=("in-turn", "parallel"),
    )
    average_every: int = setting(
        100, "splitlora: updates from one average of the clients' adapters to the next", least=1
    )
    blocks: int = setting(
        0,
        "deft: blocks that the tuned layers are grouped into; 0: as many as there are clients, or "
        "layers",
        least=0,
    )
    replicas: int = setting(1, "deft: clients that tune the same block", least=1)
    allocation: str = setting(
        "jbba",
        "deft: how blocks and bandwidth are given out: jbba: together; crunch: the fastest "
        "matching, then the best shares; crunch-equal, random-equal: with equal shares; sum: the "
        "matching of least total time",
        choices=("jbba", "crunch", "crunch-equal", "random", "random-equal", "sum"),
    )
    objective: str = setting(
        "A",
        "deft: what a round takes: A: the longest of computing and sending; B: the longest of "
        "computing, then the longest of sending",
        choices=("A", "B"),
    )
    solver: str = setting("exact", "deft: how jbba is solved", choices=("exact", "dual"))
    slack: float = setting(
        0.01,
        "deft: by which part of itself jbba makes the shortest round longer, so that clients that "
        "are ready early have sent early; 0: not at all, as published; for objective A",
        least=0,
    )
    replan: int = setting(
        10,
        "deft, fedlora: rounds after which clients' measured speeds are planned by; 0: never, they "
        "are as strategy.speeds says, or equal",
        least=0,
    )
    uplinks: list[float] = setting(
        [], "deft: bytes a second of each client if all of the uplink were its; left out: equal"
    )
    pacing: bool = setting(
        False,
        "deft: whether clients keep to their share of the uplink when they send; false: shares "
        "only enter the planned time",
    )
    same_batch: bool = setting(
        False, "deft, fedlora: all clients have all examples, and the same batch in a round"
    )
    local_steps: int = setting(10, "fedlora: updates that a client makes in a round", least=1)
    round_deadline: float = setting(
        0.0,
        "deft, fedlora: seconds after which a round goes on without clients that have not "
        "answered; 0: it waits for all of them",
        least=0,
    )
    speeds: list[float] = setting([], "relative speed of each rank; left out: equal")
