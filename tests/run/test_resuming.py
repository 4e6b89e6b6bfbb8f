"""A run that was interrupted and goes on gives the weights of one that never was."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.errors import BadInput, NotRead
from mpiedge.run.checkpoints import Checkpoints, Facts
from mpiedge.run.job import Job, train
from mpiedge.run.kept import Kept
from mpiedge.run.phases import Entered
from mpiedge.run.progress import Silent
from mpiedge.run.resuming import FOLDER, Position
from mpiedge.store.checkpoint import parts_in
from tests.models import save_tiny
from tests.runs import Finished, difference, finished, run, settings, write_requests

OFTEN = {"every": 5, "seconds": 0.0}
SIDE = {"kind": "parallel", "reduction": 2, "initial": "magnitude"}
LIMITS = {"data-parallel": 1e-4, "pac": 1e-4}  # sums over other ranks, and AdamW on tiny gradients


class Interrupted(Exception):
    """Somebody pulled the plug, on every device at once."""


class Files(NamedTuple):
    """What a run starts from."""

    model: Path
    data: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    return Files(save_tiny("bert", folder / "bert", blocks=3), write_requests(folder / "requests"))


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Interrupts runs after the first checkpoint at or past an update; 0: never."""
    offer, at = Checkpoints.offer, [0]

    def pulled(
        self: Checkpoints, here: Entered, position: Position, facts: Facts, *apart: Any
    ) -> None:
        offer(self, here, position, facts, *apart)
        if at[0] and position.done >= at[0]:
            raise Interrupted

    monkeypatch.setattr(Checkpoints, "offer", pulled)

    def set_at(update: int) -> None:
        at[0] = update

    return set_at


STRATEGIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "pipeline"}, {}),
    ({"name": "data-parallel"}, {}),
    ({"name": "pac"}, SIDE),
    ({"name": "ring", "clients": 3, "interval": 7}, {}),
    ({"name": "ring", "clients": 2, "interval": 3, "prefix_cache": True}, {}),
    (
        {"name": "ring", "clients": 2, "unfreeze": "plateau", "patience": 4, "tolerance": 0.9},
        {},
    ),
    ({"name": "split", "clients": 2}, {}),
    ({"name": "splitlora", "clients": 3, "average_every": 7}, {}),
    ({"name": "splitlora", "clients": 2, "turn": "epoch"}, {}),
    ({"name": "splitlora", "clients": 3, "visits": "parallel", "average_every": 2}, {}),
]


@pytest.mark.parametrize("update", [5, 20])
@pytest.mark.parametrize(("strategy", "adapter"), STRATEGIES)
def test_going_on_gives_the_same_weights_on_another_number_of_ranks(
    strategy: dict[str, Any],
    adapter: dict[str, Any],
    update: int,
    plug: Any,
    files: Files,
    tmp_path: Path,
) -> None:
    training = {"epochs": 3}
    cache = {"folder": str(tmp_path / "caches")}
    chosen = settings(
        *files, strategy=strategy, training=training, checkpoint=OFTEN, cache=cache, adapter=adapter
    )
    whole = run(chosen, 2, tmp_path / "whole")
    plug(min(update, len(whole.losses) - 2))  # with clients abreast there are fewer updates
    with pytest.raises(Interrupted):
        run(chosen, 2, tmp_path / "parted")
    plug(0)
    went_on = run(chosen, 3, tmp_path / "parted", resume=True)
    assert difference(whole, went_on) < LIMITS.get(strategy["name"], 1e-5)
    assert went_on.losses == pytest.approx(whole.losses, rel=1e-4)
    assert went_on.result["metrics"] == pytest.approx(whole.result["metrics"], rel=1e-4)
    assert [e["examples"] for e in went_on.result["epochs"]] == [90, 90, 90]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "ring", "clients": 2, "interval": 3, "depth": 2, "prefix_cache": True},
        {"name": "split", "clients": 2, "replay": True},
    ],
)
def test_what_a_run_kept_for_itself_and_finds_damaged_costs_a_start(
    strategy: dict[str, Any],
    damage: str,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = {"folder": str(tmp_path / "caches")}
    training = {"epochs": 3}
    chosen = settings(*files, strategy=strategy, training=training, checkpoint=OFTEN, cache=cache)
    whole, replays = run(chosen, 2, tmp_path / "whole"), Kept.replays

    def damaged(self: Kept, *asked: Any) -> Any:
        for segment in self._folder.glob("*.h5"):
            content = bytearray(segment.read_bytes())
            if damage == "cut":
                content = content[: len(content) // 2]
            else:
                content[len(content) // 4 :: 997] = b"\xff" * len(content[len(content) // 4 :: 997])
            segment.write_bytes(bytes(content))
        return replays(self, *asked)

    monkeypatch.setattr(Kept, "replays", damaged)
    with pytest.raises(NotRead, match="is damaged or gone .* --resume latest"):
        run(chosen, 2, tmp_path / "parted")
    monkeypatch.undo()
    went_on = run(chosen, 2, tmp_path / "parted", resume=True)
    assert difference(whole, went_on) < 1e-5


@pytest.mark.parametrize("update", [3, 9])
@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "deft", "clients": 3, "replan": 0},
        {"name": "deft", "clients": 4, "blocks": 2, "replan": 5, "allocation": "random-equal"},
        {"name": "fedlora", "clients": 3, "local_steps": 2},
    ],
)
def test_rounds_go_on_as_they_were_planned(
    strategy: dict[str, Any], update: int, plug: Any, files: Files, tmp_path: Path
) -> None:
    often, training = {"every": 3, "seconds": 0.0}, {"epochs": 9, "max_steps": 12}
    chosen = settings(*files, strategy=strategy, training=training, checkpoint=often)
    whole = run(chosen, 2, tmp_path / "whole")
    plug(update)
    with pytest.raises(Interrupted):
        run(chosen, 2, tmp_path / "parted")
    plug(0)
    went_on = run(chosen, 3, tmp_path / "parted", resume=True)
    assert difference(whole, went_on) < 1e-5
    assert went_on.losses == pytest.approx(whole.losses, rel=1e-4)
    assert went_on.result["metrics"] == pytest.approx(whole.result["metrics"], rel=1e-4)


def test_no_checkpoint_is_left_that_nothing_follows(files: Files, tmp_path: Path) -> None:
    often = {"every": 4, "seconds": 0.0}
    run(settings(*files, strategy={"name": "pipeline"}, checkpoint=often), 1, tmp_path)
    assert {part.update for part in parts_in(tmp_path / FOLDER)} == {16, 20}


def _parted(plug: Any, files: Files, folder: Path, update: int = 10) -> Any:
    chosen = settings(*files, strategy={"name": "pipeline"}, checkpoint=OFTEN)
    plug(update)
    with pytest.raises(Interrupted):
        run(chosen, 3, folder)
    plug(0)
    return chosen


@pytest.fixture(scope="module")
def undisturbed(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    chosen = settings(*files, strategy={"name": "pipeline"}, checkpoint=OFTEN)
    return run(chosen, 1, tmp_path_factory.mktemp("whole"))


def test_every_part_is_there_and_only_the_last_checkpoints(
    plug: Any, files: Files, tmp_path: Path
) -> None:
    _parted(plug, files, tmp_path, update=17)
    found = [(part.update, part.number, part.parts) for part in parts_in(tmp_path / FOLDER)]
    # An epoch has 12 updates; a checkpoint may come after 5 more, and where an epoch ends.
    assert found == [(update, part, 3) for update in (17, 12) for part in (2, 1, 0)]


@pytest.mark.parametrize("damage", ["cut", "flipped", "removed"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage: str, plug: Any, files: Files, tmp_path: Path, undisturbed: Finished
) -> None:
    chosen = _parted(plug, files, tmp_path)
    newest = tmp_path / FOLDER / parts_in(tmp_path / FOLDER)[0].name
    content = newest.read_bytes()
    if damage == "removed":
        newest.unlink()
    elif damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    else:
        newest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    went_on = run(chosen, 2, tmp_path, resume=True)
    assert difference(undisturbed, went_on) < 1e-5
    assert len(went_on.losses) == 24


@pytest.mark.parametrize("damaged", [True, False])
def test_it_begins_anew_where_that_is_allowed_and_nothing_whole_is_left(
    plug: Any, files: Files, tmp_path: Path, undisturbed: Finished, damaged: bool
) -> None:
    chosen = settings(*files, strategy={"name": "pipeline"}, checkpoint=OFTEN)
    plug(1)
    with pytest.raises(Interrupted):
        run(chosen, 2, tmp_path)
    first = tmp_path / FOLDER / parts_in(tmp_path / FOLDER)[0].name
    if damaged:
        first.write_bytes(first.read_bytes()[:-9])
    plug(0)
    heard: list[str] = []

    class Heard(Silent):
        def say(self, line: str) -> None:
            heard.append(line)

    def body(transport: ThreadTransport) -> None:
        train(chosen, transport, Job(tmp_path, tmp_path, anew=True), Heard())
        transport.close()

    run_ranks(2, body, timeout=120)
    assert difference(undisturbed, finished(tmp_path)) < 1e-5
    assert any("training from the start" in line for line in heard) is damaged


def test_no_checkpoint_at_all_is_said(files: Files, tmp_path: Path) -> None:
    chosen = settings(*files, strategy={"name": "pipeline"})
    with pytest.raises(BadInput, match=r"there is no whole checkpoint in .*checkpoints on any"):
        run(chosen, 2, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"training": {"learning_rate": 0.5}}, "training.learning_rate is 0.5, but the run in"),
        ({"adapter": {"r": 2}}, "adapter.r is 2, but the run in .* was begun with 4"),
        ({"strategy": {"name": "data-parallel"}}, "strategy.name is 'data-parallel'"),
    ],
)
def test_another_run_file_is_refused(
    other: dict[str, Any],
    said: str,
    plug: Any,
    files: Files,
    tmp_path: Path,
) -> None:
    _parted(plug, files, tmp_path)
    sections = {"strategy": {"name": "pipeline"}, **other}
    with pytest.raises(BadInput, match=said):
        run(settings(*files, checkpoint=OFTEN, **sections), 2, tmp_path, resume=True)


def test_other_data_are_refused(plug: Any, files: Files, tmp_path: Path) -> None:
    _parted(plug, files, tmp_path / "run")
    other = write_requests(tmp_path / "other", rows=80)
    chosen = settings(files.model, other, strategy={"name": "pipeline"}, checkpoint=OFTEN)
    with pytest.raises(
        BadInput, match="this run has 80 examples, but the one to be resumed had 90"
    ):
        run(chosen, 2, tmp_path / "run", resume=True)


def test_a_new_run_removes_the_checkpoints_of_an_old_one(
    plug: Any, files: Files, tmp_path: Path
) -> None:
    chosen = _parted(plug, files, tmp_path)
    plug(1)
    with pytest.raises(Interrupted):
        run(chosen, 1, tmp_path)
    assert {part.parts for part in parts_in(tmp_path / FOLDER)} == {1}


def test_none_are_written_when_not_wanted(files: Files, tmp_path: Path) -> None:
    never = {"every": 0, "seconds": 0.0}
    run(settings(*files, checkpoint=never), 1, tmp_path)
    assert parts_in(tmp_path / FOLDER) == ()


@pytest.mark.parametrize(("share", "many"), [(0.0, True), (1e-6, False)])
def test_they_take_no_more_than_their_share_of_the_time(
    files: Files, tmp_path: Path, share: float, many: bool
) -> None:
    asked = {"every": 1, "seconds": 1e-9, "share": share}
    run(settings(*files, strategy={"name": "pipeline"}, checkpoint=asked), 2, tmp_path)
    told = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["checkpoints"]
    assert told["seconds"] > 0
    assert told["written"] > 5 if many else told["written"] == 1


def test_a_disk_that_refuses_them_does_not_end_the_run(
    files: Files, tmp_path: Path, undisturbed: Finished
) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    chosen = settings(*files, strategy={"name": "pipeline"}, checkpoint=OFTEN)
    assert difference(undisturbed, run(chosen, 2, tmp_path)) < 1e-5
