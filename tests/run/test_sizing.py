"""The size of micro-batches that the planner chooses."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner

from mpiedge.cli.train import train
from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.config import read, to_toml
from mpiedge.errors import BadInput
from mpiedge.run import sizing
from mpiedge.run.checkpoints import Checkpoints, Facts
from mpiedge.run.foresight import foresee
from mpiedge.run.opener import Opener
from mpiedge.run.opening import open_run
from mpiedge.run.phases import Entered
from mpiedge.run.resuming import Position
from mpiedge.run.sizing import sized, with_size
from tests.runs import settings

MODEL = {"name": "bert", "layers": 5, "width": 32, "dtype": "float32", "adapter": "lora"}
FREE = {"batch_size": 8, "micro_batch_size": 0}
SIZES = [1, 2, 4, 8]


def profile(folder: Path, start: float, token: float, devices: int = 2) -> str:
    """Devices alike, whose layers begin after ``start`` seconds and take ``token`` for each."""
    times = {"forward": [start, token], "backward": [2 * start, 2 * token]}
    layers = dict.fromkeys(("embedding", "block", "head"), times)
    values: dict[str, Any] = {
        "model": MODEL,
        "device": [{"name": f"d{i}", "memory": 1.0, "layers": layers} for i in range(devices)],
    }
    if devices > 1:
        values["link"] = [{"ranks": [0, 1], "rate": 1e6, "delay": 0.0}]
    path = folder / "devices.toml"
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("start", "token", "expected"), [(1.0, 1e-6, [8]), (1e-7, 1e-3, [1, 2]), (1e-2, 1e-4, SIZES)]
)
def test_it_is_the_one_that_is_foreseen_to_be_fastest(
    start: float, token: float, expected: list[int], bert: Path, requests: Path, tmp_path: Path
) -> None:
    chosen = {"name": "pipeline", "cluster": profile(tmp_path, start, token)}
    opener = Opener(alone(5.0))
    opened = opener(settings(bert, requests, strategy=chosen, training=FREE))
    size = opened.settings.training.micro_batch_size
    assert size in expected
    seconds = {each: foresee(with_size(opened, each)).forecast.seconds for each in SIZES}
    assert seconds[size] == min(seconds.values())


def test_ranks_choose_alike_and_a_size_that_is_given_stays(
    bert: Path, requests: Path, tmp_path: Path
) -> None:
    strategy = {"name": "data-parallel", "cluster": profile(tmp_path, 1e-3, 1e-5)}
    found: list[int] = []

    def body(transport: ThreadTransport) -> None:
        for training in (FREE, {"micro_batch_size": 3}):
            run = settings(bert, requests, strategy=strategy, training=training)
            opened = sized(open_run(run, transport))
            found.append(opened.settings.training.micro_batch_size)
        transport.close()

    run_ranks(2, body, timeout=60)
    assert found.count(3) == 2
    first, second = (size for size in found if size != 3)
    # With one micro-batch a rank would have nothing to do.
    assert first == second < 8


def test_where_nothing_fits_the_smallest_is_complained_of(
    bert: Path, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"name": "pipeline", "cluster": profile(tmp_path, 1e-3, 1e-6, devices=1)}

    def never(opened: object) -> None:
        raise BadInput("it does not fit")

    monkeypatch.setattr(sizing, "foresee", never)
    opened = sized(open_run(settings(bert, requests, strategy=chosen, training=FREE), alone(5.0)))
    assert opened.settings.training.micro_batch_size == 1


@pytest.mark.parametrize("cluster", ["", "hostfiles/nano-8.toml"])
def test_devices_have_to_be_measured(cluster: str, bert: Path, requests: Path) -> None:
    name = str(Path(__file__).parents[2] / cluster) if cluster else ""
    chosen = settings(bert, requests, strategy={"cluster": name}, training=FREE)
    with pytest.raises(BadInput, match="name a file that mpiedge profile wrote") as bad:
        sized(open_run(chosen, alone(5.0)))
    assert (name or "there is no strategy.cluster") in str(bad.value)
    assert "\n" not in str(bad.value)


def test_a_run_keeps_the_size_it_began_with(
    bert: Path, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = {"name": "standalone", "cluster": profile(tmp_path, 1.0, 1e-6, devices=1)}
    often = {"every": 1, "seconds": 0.0}
    chosen = settings(
        bert,
        requests,
        strategy=strategy,
        training={**FREE, "max_steps": 2},
        checkpoint=often,
    )
    file, out = tmp_path / "run.toml", tmp_path / "out"
    file.write_text(to_toml(chosen), encoding="utf-8")
    words = [str(file), "--output-dir", str(out)]
    offer = Checkpoints.offer

    def pulled(
        self: Checkpoints, here: Entered, position: Position, facts: Facts, *apart: Any
    ) -> None:
        offer(self, here, position, facts, *apart)
        raise ZeroDivisionError("somebody pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "offer", pulled)
        begun = CliRunner().invoke(train, words)
    assert isinstance(begun.exception, ZeroDivisionError)
    assert read(out / "run.toml").training.micro_batch_size == 8
    # What is measured now would choose another; the run goes on with its own.
    profile(tmp_path, 0.0, 1e-3, devices=1)
    again = CliRunner().invoke(train, [*words, "--resume", "latest"], catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert read(out / "run.toml").training.micro_batch_size == 8


def test_nothing_to_go_on_from(bert: Path, requests: Path, tmp_path: Path) -> None:
    opened = open_run(settings(bert, requests, training=FREE), alone(5.0))
    with pytest.raises(BadInput, match=r"run.toml is not there to go on from"):
        sizing.sized_before(opened, tmp_path)
