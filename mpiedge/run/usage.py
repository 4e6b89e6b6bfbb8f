"""What a rank has used: memory, messages, time."""

import resource
import sys
from typing import Any

import torch

from mpiedge.comm.ledger import Traffic, by_kind, total
from mpiedge.comm.transport import Transport


def usage(transport: Transport, device: torch.device, busy: float) -> dict[str, Any]:
    """This rank's peak memory, bytes sent and received, and seconds computed, for the result."""
    used: dict[str, Any] = {
        "rank": transport.rank,
        "peak_resident_bytes": peak_resident(),
        "bytes_sent": total(transport.ledger.sent()).bytes,
        "bytes_received": total(transport.ledger.received()).bytes,
        "busy_seconds": round(busy, 3),
        "sent_to": _by_peer(transport),
        "sent": {
            kind: {"messages": count.messages, "bytes": count.bytes}
            for kind, count in sorted(by_kind(transport.ledger.sent()).items())
        },
    }
    if device.type == "cuda":
        used["peak_device_bytes"] = torch.cuda.max_memory_allocated(device)
    return used


def links(sent: Traffic) -> list[dict[str, Any]]:
    """What was sent to whom, by kind, as plain values."""
    return [
        {"dest": dest, "what": kind.name.lower(), "messages": count.messages, "bytes": count.bytes}
        for (kind, dest), count in sorted(sent.items())
    ]


def _by_peer(transport: Transport) -> dict[str, int]:
    """Bytes sent, by destination; text, as JSON knows no other names."""
    found: dict[int, int] = {}
    for (_, peer), count in transport.ledger.sent().items():
        found[peer] = found.get(peer, 0) + count.bytes
    return {str(peer): found[peer] for peer in sorted(found)}


def peak_resident() -> int:
    """The most bytes this process ever had in memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
