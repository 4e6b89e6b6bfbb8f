"""How far a run is, on a terminal and off it."""

import io
import re

import pytest
from rich.console import Console

from mpiedge.run.devices import TITLES, Device
from mpiedge.run.progress import LiveView, PlainLines, Silent, Step, shown_on, widths


def at(step: int, steps: int = 100) -> Step:
    return Step(2, 3, step, steps, loss=0.51234, rate=12.34, left=125.4)


def test_a_step_in_words() -> None:
    words = "epoch 2/3  step 7/100  loss 0.5123  12.3 examples/s  2:05 left"
    assert str(at(7)) == words
    assert str(at(7)._replace(left=59.6)).endswith("  1:00 left")
    assert str(at(7)._replace(left=3725)).endswith("  62:05 left")


def test_plain_lines_come_now_and_then_and_at_the_end() -> None:
    written: list[str] = []
    now = [0.0]
    lines = PlainLines(written.append, lambda: now[0])
    for step in range(1, 101):
        now[0] += 0.5
        lines.step(at(step))
    lines.close()
    assert [int(line.split("step ")[1].split("/")[0]) for line in written] == [
        1,
        21,
        41,
        61,
        81,
        100,
    ]


def test_a_plain_sentence_is_never_held_back() -> None:
    written: list[str] = []
    lines = PlainLines(written.append, lambda: 0.0)
    for _ in range(3):
        lines.say("evaluation")
    assert written == ["evaluation"] * 3


def test_off_a_terminal_lines_are_plain() -> None:
    file = io.StringIO()
    progress = shown_on(Console(file=file, force_terminal=False, soft_wrap=True))
    assert isinstance(progress, PlainLines)
    sentence = "saved in [bold]runs[/bold] " + "x" * 200
    progress.step(at(1))
    progress.say(sentence)
    progress.evaluated(3, {"accuracy": 0.5, "f1": 0.25})
    progress.close()
    scores = "evaluation after step 3: accuracy 0.5000  f1 0.2500"
    assert file.getvalue() == f"{at(1)}\n{sentence}\n{scores}\n"


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


def test_on_a_terminal_one_line_is_drawn_anew(screen: io.StringIO) -> None:
    progress = shown_on(Console(file=screen, force_terminal=True, width=100))
    assert isinstance(progress, LiveView)
    progress.step(at(1))
    progress.step(at(2))
    progress.evaluated(2, {"accuracy": 0.5})
    progress.close()
    drawn = screen.getvalue()
    assert "step 2/100" in drawn
    assert "evaluation after step 2: accuracy 0.5000\n" in drawn.replace("\r", "")
    assert "\x1b[2K" in drawn  # the line is erased, not left behind
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1  # the cursor is given back


def uncoloured(screen: io.StringIO) -> str:
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\r", "", screen.getvalue())


def test_each_of_several_devices_has_a_line(screen: io.StringIO) -> None:
    progress = shown_on(Console(file=screen, force_terminal=True, width=100))
    rates = {"sent_per_second": 0.0, "received_per_second": 2.0**20}
    one = Device(0, "board-[red]", (0, 1), "computes", 12.5, 2**29, **rates)
    other = one._replace(rank=1, layers=(2, 3), state="waits for rank 0", memory_bytes=None)
    progress.watch(lambda: (one, other))
    progress.step(at(1))
    progress.close()
    drawn = [" ".join(line.split()) for line in uncoloured(screen).split("\n")]
    assert "rank host layers state ex/s memory out, in MiB/s" in drawn
    assert "0 board-[red] 0..1 computes 12.5 512 MiB 0.00 1.00" in drawn
    assert any("1 board-[red] 2..3 waits for rank 0 12.5 0.00 1.00" in line for line in drawn)


@pytest.mark.parametrize("width", [80, 72])
def test_a_narrow_terminal_cuts_names_not_numbers(screen: io.StringIO, width: int) -> None:
    progress = shown_on(Console(file=screen, force_terminal=True, width=width))
    rates = {"sent_per_second": 123.4 * 2**20, "received_per_second": 2.0**20}
    one = Device(12, "jetson-orin-nano", (0, 2, 3, 7), "waits for rank 11", 1234.5, 2**32, **rates)
    progress.watch(lambda: (one, one))
    progress.close()
    lines = uncoloured(screen).split("\n")
    row = next(line for line in lines if "4096 MiB" in line)
    for whole in ("12  jetso", "0,2..3,7", "waits for ", "1234.5", "123.40 1.00"):
        assert whole in row
    assert all(len(line) <= width for line in lines)


def test_a_table_that_fits_is_not_cut() -> None:
    rows = [TITLES, ("0", "a" * 20, "0", "computes", "1.0", "1 MiB", "1.00 1.00")]
    assert widths(rows, 200) == [4, 20, 6, 8, 4, 6, 13]
    assert widths(rows, 40) == [4, 6, 6, 8, 4, 6, 13]  # no further, whatever the room


def test_a_single_device_has_none(screen: io.StringIO) -> None:
    progress = shown_on(Console(file=screen, force_terminal=True, width=100))
    progress.watch(lambda: (Device(0, "here", (0,), "computes", 1.0, 1, 1.0, 1.0),))
    progress.step(at(1))
    progress.close()
    assert "rank 0" not in screen.getvalue()


def test_the_other_ranks_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.step(at(100))
    silent.say("words")
    silent.evaluated(100, {"accuracy": 0.5})
    silent.close()
    assert capsys.readouterr() == ("", "")
