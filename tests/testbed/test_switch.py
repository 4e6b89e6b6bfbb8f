"""The program that passes frames on, with pipes and sockets for its ports."""

import os
import socket
import threading
from pathlib import Path

import pytest

from mpiedge.testbed import switch
from mpiedge.testbed.frames import HEADER, Line, Switch


def frame(target: int, source: int, text: bytes) -> bytes:
    return b"\0" * HEADER + bytes([target] * 6) + bytes([source] * 6) + text


def test_frames_reach_the_other_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
    ends = [pair[1] for pair in pairs]
    for inner, outer in pairs:
        inner.setblocking(False)
        outer.settimeout(10)
    over = threading.Event()

    class Ending(Switch):
        def due(self, now: float) -> list[tuple[int, bytes]]:
            if over.is_set():
                raise InterruptedError
            return super().due(now)

    row = Ending([Line(1e9, 0.001)] * 3)
    monkeypatch.setattr(switch, "IDLE", 0.05)

    def serve() -> None:
        with pytest.raises(InterruptedError):
            switch.serve([inner.fileno() for inner, _ in pairs], row)

    thread = threading.Thread(target=serve)
    thread.start()
    ends[0].send(frame(2, 1, b"who is it"))
    assert ends[1].recv(100).endswith(b"who is it")
    assert ends[2].recv(100).endswith(b"who is it")
    ends[1].send(frame(1, 2, b"me"))
    assert ends[0].recv(100).endswith(b"me")
    over.set()
    thread.join()
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_port_with_nothing_to_say_is_left_alone() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    row = Switch([Line(1e3, 0.0), Line(1e3, 0.0)])
    switch._drain(reader, 0, row)
    assert row.next_due() is None
    os.write(writer, frame(2, 1, b"x" * 100))
    switch._drain(reader, 0, row)
    assert row.next_due() is not None
    assert not row.accepts(0, 0.0)
    os.close(reader)
    os.close(writer)


def test_a_folder_without_a_testbed(tmp_path: Path) -> None:
    assert switch.main([str(tmp_path)]) == 2
