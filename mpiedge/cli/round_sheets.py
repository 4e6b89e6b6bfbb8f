"""A round of DEFT as tables for people: what each block takes where, and every scheme's answer."""

from math import isfinite

from mpiedge.doctor.table import Sheet
from mpiedge.run.comparing import Round, holders
from mpiedge.strategy.comparison import FEDLORA, Answer

_MIB = 2**20


def sheets(one: Round) -> list[Sheet]:
    """Memory and payload of the blocks, seconds of clients and blocks, and the schemes."""
    return [_blocks(one), _seconds(one), _uploads(one), _schemes(one)]


def notes(one: Round) -> list[str]:
    """What the tables leave unsaid."""
    troubles = dict.fromkeys(
        (answer.trouble, answer.scheme == FEDLORA) for answer in one.found.answers if answer.trouble
    )
    lines = [f"{FEDLORA if full else 'no round'}: {trouble}" for trouble, full in troubles]
    return [
        *lines,
        f"* the scheme that the run file asks for; {FEDLORA}: {one.steps} steps a round",
    ]


def _blocks(one: Round) -> Sheet:
    rows = (
        (str(b), _layers(layers), f"{memory / _MIB:.1f}", f"{payload / _MIB:.3f}")
        for b, (layers, memory, payload) in enumerate(
            zip(one.blocks, one.found.tables.memory, one.payload, strict=True)
        )
    )
    return Sheet("Blocks", ("block", "layers", "memory, MiB", "sent up, MiB"), tuple(rows))


def _seconds(one: Round) -> Sheet:
    tables = one.found.tables
    rows = [
        (
            *_client(one, k),
            *(
                _time(seconds) if fits else f"({_time(seconds)})"
                for seconds, fits in zip(tables.seconds[k], tables.fits[k], strict=True)
            ),
        )
        for k in range(len(one.clients))
    ]
    title = "Computing, seconds by block (in brackets: more memory than there is)"
    return Sheet(title, _head(one), tuple(rows))


def _uploads(one: Round) -> Sheet:
    rows = [
        (*_client(one, k), *map(_time, one.found.tables.upload[k])) for k in range(len(one.clients))
    ]
    return Sheet("Sending with all of the uplink, seconds by block", _head(one), tuple(rows))


def _schemes(one: Round) -> Sheet:
    head = ("scheme", "round, s", *(f"block {b}" for b in range(len(one.blocks))))
    return Sheet(
        "First round: clients of each block, and their shares of the uplink",
        head,
        tuple(_scheme(one, answer) for answer in one.found.answers),
    )


def _scheme(one: Round, answer: Answer) -> tuple[str, ...]:
    mark = "*" if answer.scheme == one.found.chosen else ""
    blocks, allotment = range(len(one.blocks)), answer.allotment
    if allotment is None:
        return (answer.scheme + mark, "none", *("" for _ in blocks))
    time = _time(allotment.seconds)
    if answer.scheme == FEDLORA:
        share = f"all, {max(allotment.shares):.1%} each"
        return (answer.scheme + mark, time, *(share for _ in blocks))
    cells = (
        ", ".join(f"{client}: {allotment.shares[client]:.1%}" for client in clients)
        for clients in holders(one, allotment)
    )
    return (answer.scheme + mark, time, *cells)


def _head(one: Round) -> tuple[str, ...]:
    blocks = (str(b) for b in range(len(one.blocks)))
    return ("client", "rank", "speed", "memory, MiB", "uplink, MB/s", *blocks)


def _client(one: Round, k: int) -> tuple[str, ...]:
    client = one.clients[k]
    memory, uplink = f"{client.memory / _MIB:.0f}", f"{client.uplink / 1e6:.1f}"
    return (str(k), str(one.homes[k]), f"{client.speed:.2f}", memory, uplink)


def _time(seconds: float) -> str:
    return f"{seconds:.4g}" if isfinite(seconds) else "never"


def _layers(block: tuple[int, ...]) -> str:
    return f"{min(block)}..{max(block)}" if len(block) > 1 else str(block[0])
