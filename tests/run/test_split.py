"""Whole split runs: as centralised training above the cut, whoever has which examples."""

import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.errors import BadInput
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.smashed import Smashed
from mpiedge.pipeline.turns import Settled
from mpiedge.run.evaluation import observe, validation_of
from mpiedge.run.examples import count, read
from mpiedge.run.forward import Forward
from mpiedge.run.opening import open_run
from mpiedge.run.reopening import reopen, settings_of
from tests.models import save_tiny
from tests.runs import Finished, difference, run, settings, write_requests

SGD = {"optimizer": "sgd", "learning_rate": 0.5, "clip_norm": 0.05}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("split") / "requests")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split") / "bert"
    return save_tiny("bert", folder, blocks=4, hidden_dropout_prob=0.1)


def central(model: Path, data: Path, folder: Path, lowest: int, **sections: Any) -> Finished:
    """Plain training with adapters from block ``lowest`` on."""
    changes = {"training": SGD, **sections}
    changes["adapter"] = {"r": 4, "lowest": lowest, **sections.get("adapter", {})}
    return run(settings(model, data, **changes), 1, folder / f"central-{lowest}")


def split(model: Path, data: Path, folder: Path, ranks: int, **sections: Any) -> Finished:
    """A split run of three clients, unless the sections say otherwise."""
    changes = {
        "training": SGD,
        "cache": {"folder": str(folder / "cache")},
        **sections,
        "strategy": {"name": "split", "clients": 3, **sections.get("strategy", {})},
    }
    return run(settings(model, data, **changes), ranks, folder / f"on-{ranks}")


@pytest.fixture(scope="module")
def above_two(bert: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return central(bert, data, tmp_path_factory.mktemp("split") / "central", 3)


@pytest.mark.parametrize("division", ["iid", "dirichlet", "label"])
@pytest.mark.parametrize("laid", [(1, [2]), (2, [1, 2, 1]), (4, [1, 2, 2]), (4, [2])])
def test_it_is_centralised_training_above_the_deepest_cut(
    division: str,
    laid: tuple[int, list[int]],
    bert: Path,
    data: Path,
    tmp_path: Path,
    above_two: Finished,
) -> None:
    ranks, cuts = laid
    strategy = {"cuts": cuts, "replay": ranks != 2}
    found = split(bert, data, tmp_path, ranks, strategy=strategy, task={"split": division})
    assert difference(above_two, found) < 1e-5
    assert found.losses == pytest.approx(above_two.losses, rel=1e-5)
    assert found.result["metrics"] == pytest.approx(above_two.result["metrics"], rel=1e-5)


FAMILY_TASKS = {
    "roberta": "classification",
    "gpt2": "language",
    "llama": "language",
    "t5": "seq2seq",
    "bart": "seq2seq",
}


@pytest.mark.parametrize("family", FAMILY_TASKS)
def test_every_family(family: str, data: Path, tmp_path: Path) -> None:
    model = save_tiny(family, tmp_path / family, blocks=3, **STILL.get(family, {}))
    task = {"name": FAMILY_TASKS[family]}
    if task["name"] != "classification":
        task = {**task, "text": ["text"], "label": "label"}
    more = {"task": task, "training": {**SGD, "learning_rate": 0.1}}
    kind = {"adapter": {"kind": "bottleneck" if family == "llama" else "lora", "bottleneck": 8}}
    above = central(model, data, tmp_path, 3, **more, **kind)
    found = split(model, data, tmp_path, 3, **more, **kind, strategy={"cuts": [1, 2, 1]})
    assert difference(above, found) < 1e-5
    assert len(set(found.losses)) > 10


STILL: dict[str, dict[str, Any]] = {"t5": {"dropout_rate": 0.0}}


@pytest.mark.parametrize("cuts", [[2], [1, 2, 2]])
@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_gathering_gives_the_same(
    ranks: int, cuts: list[int], bert: Path, data: Path, tmp_path: Path, above_two: Finished
) -> None:
    strategy = {"cuts": cuts, "aggregation": "gather", "server_has_data": ranks == 3}
    found = split(bert, data, tmp_path, ranks, strategy=strategy, task={"split": "label"})
    assert difference(above_two, found) < 1e-5


@pytest.mark.parametrize("aggregation", ["point-to-point", "gather"])
def test_compression_takes_less_and_changes_little(
    aggregation: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    strategy = {"cuts": [2], "aggregation": aggregation, "replay": False}
    found, sizes = {}, {}
    for how, keep in (("none", 1.0), ("bfloat16", 1.0), ("int8", 1.0), ("topk", 0.25)):
        comm = {"compression": how, "keep": keep}
        found[how] = split(bert, data, tmp_path / how, 3, strategy=strategy, comm=comm)
        sizes[how] = sum(rank["bytes_sent"] for rank in found[how].result["ranks"][1:])
    assert sizes["int8"] < sizes["topk"] < sizes["bfloat16"] < 0.7 * sizes["none"]
    assert 0 < difference(found["none"], found["bfloat16"]) < 0.02
    assert 0 < difference(found["none"], found["int8"]) < 0.05
    assert 1e-3 < difference(found["none"], found["topk"]) < 0.5


ADAMW = {"learning_rate": 0.01, "optimizer": "adamw", "clip_norm": 1.0}


@pytest.mark.parametrize("window", [12, 40])
def test_a_window_is_the_same_on_any_number_of_ranks(
    window: int, bert: Path, data: Path, tmp_path: Path
) -> None:
    more = {"strategy": {"cuts": [2], "window": window}, "task": {"split": "label"}}
    alone = split(bert, data, tmp_path, 1, **more)
    assert difference(alone, split(bert, data, tmp_path, 3, **more)) < 1e-5


@pytest.mark.parametrize("aggregation", ["point-to-point", "gather"])
def test_several_servers_are_a_pipeline(
    aggregation: str, bert: Path, data: Path, tmp_path: Path, above_two: Finished
) -> None:
    strategy = {"cuts": [2], "servers": 2, "aggregation": aggregation}
    for ranks in (2, 4):
        found = split(bert, data, tmp_path, ranks, strategy=strategy)
        assert difference(above_two, found) < 1e-5


def test_how_many_may_wait_makes_no_difference(
    bert: Path, data: Path, tmp_path: Path, above_two: Finished
) -> None:
    for window in (1, 50):
        strategy = {"cuts": [1, 2, 1], "credits": window, "replay": False}
        found = split(bert, data, tmp_path / str(window), 3, strategy=strategy)
        assert difference(above_two, found) < 1e-5


def test_what_was_kept_is_exact_and_saves_the_devices_two_epochs(
    bert: Path, data: Path, tmp_path: Path
) -> None:
    training = {**ADAMW, "epochs": 3}
    sent, found = [], []
    for replay in (False, True):
        strategy = {"cuts": [2], "replay": replay}
        folder = tmp_path / str(replay)
        one = split(bert, data, folder, 3, strategy=strategy, training=training)
        found.append(one)
        sent.append(sum(r["sent"]["activation"]["bytes"] for r in one.result["ranks"][1:]))
        assert (one.result["ranks"][0].get("cache_bytes", 0) > 0) is replay
        assert not list((folder / "cache").glob("split-*"))
    assert sent[0] == 3 * sent[1]
    assert difference(*found) < 1e-5


@pytest.mark.parametrize(("dtype", "most"), [("float16", 1e-2), ("int8", 0.1)])
def test_what_is_kept_in_fewer_bits_changes_little(
    dtype: str, most: float, bert: Path, data: Path, tmp_path: Path
) -> None:
    more = {"strategy": {"cuts": [2]}, "training": {**SGD, "epochs": 3}}
    exact = split(bert, data, tmp_path / "exact", 1, **more)
    cache = {"folder": str(tmp_path / "cache"), "dtype": dtype}
    rounded = split(bert, data, tmp_path / dtype, 1, cache=cache, **more)
    assert 0 < difference(exact, rounded) < most
    stored = [one.result["ranks"][0]["cache_bytes"] for one in (exact, rounded)]
    assert stored[1] < stored[0]


def test_devices_train_nothing_and_hold_their_layers_only(
    bert: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[tuple[set[str], bool]]] = {}
    shards: dict[int, Any] = {}
    sound = Forward.made

    def watched(self: Forward, numbers: tuple[int, ...], layers: range) -> Smashed:
        made = sound(self, numbers, layers)
        shard, rank = self._here.shard, self._here.phase
        real = {name for name, each in shard.model.named_parameters() if not each.is_meta}
        wants = any(
            p.requires_grad or p.grad is not None
            for n, p in shard.model.named_parameters()
            if n in real
        )
        seen.setdefault(layers.stop - 1, []).append((real, wants or made.hidden.requires_grad))
        shards[layers.stop - 1] = (shard, rank)
        return made

    monkeypatch.setattr(Forward, "made", watched)
    found = split(bert, data, tmp_path, 3, strategy={"cuts": [1, 3, 1], "clients": 3})
    assert [rank["layers"] for rank in found.result["ranks"]] == [
        list(range(6)),
        [0, 1],
        [0, 1, 2, 3],
    ]
    assert set(seen) == {1, 3}
    for cut, calls in seen.items():
        blueprint = shards[cut][0].blueprint
        for real, wants in calls:
            assert not wants
            assert real == {n for i in range(cut + 1) for n in blueprint.parameters(i)}
            assert not any("lora" in name for name in real)


def test_an_answer_is_scored_by_the_whole_model(data: Path, tmp_path: Path) -> None:
    """A language task with completions: exact match is among the metrics."""
    model = save_tiny(
        "gpt2",
        tmp_path / "gpt2",
        blocks=3,
        **{
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
            "resid_pdrop": 0.0,
        },
    )
    task = {"name": "language", "text": ["text"], "label": "label", "split": "iid"}
    found = split(model, data, tmp_path, 3, task=task, strategy={"cuts": [1]})
    assert "exact_match" in found.result["metrics"]


def test_clients_have_files_of_their_own(bert: Path, data: Path, tmp_path: Path) -> None:
    rows = (data / "train.tsv").read_text(encoding="utf-8").splitlines()
    files = []
    for client, part in enumerate((rows[1:20], rows[20:70], rows[70:])):
        path = tmp_path / f"client-{client}.tsv"
        path.write_text("\n".join([rows[0], *part]) + "\n", encoding="utf-8")
        files.append(str(path))
    above = central(bert, data, tmp_path, 3)
    for ranks in (1, 3):
        more = {"task": {"client_files": files}, "strategy": {"cuts": [1, 2, 2]}}
        found = split(bert, data, tmp_path, ranks, **more)
        assert difference(above, found) < 1e-5


def refused(model: Path, data: Path, folder: Path, ranks: int = 3, **sections: Any) -> str:
    with pytest.raises(BadInput) as bad:
        split(model, data, folder, ranks, **sections)
    assert "\n" not in str(bad.value)
    return str(bad.value)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"strategy": {"cuts": [4]}}, "strategy.cuts [4] has 4; a cut is at least 1 and at most 3"),
        ({"strategy": {"cuts": [1, 2]}}, "strategy.cuts [1, 2] names 2 cuts for 3 clients"),
        ({"strategy": {"cuts": [2]}, "adapter": {"lowest": 2}}, "adapters begin at block 2"),
        ({"adapter": {"lowest": 5}}, "adapter.lowest 5 leaves devices no frozen block"),
        ({"adapter": {"kind": "full"}}, "set it to bottleneck or lora"),
        ({"strategy": {"clients": 91}}, "91 clients cannot share 90 examples"),
        ({"strategy": {"credits": 10**9}}, "micro-batches that wait to be shuffled"),
    ],
)
def test_bad_input(
    sections: dict[str, Any], said: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    assert said in refused(bert, data, tmp_path, **sections)


def test_devices_with_different_tokenizers(
    bert: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = iter("aaba")
    lock = threading.Lock()

    def other(_: str) -> str:
        with lock:
            return next(digests)

    monkeypatch.setattr("mpiedge.run.pool._vocabulary", other)
    said = refused(bert, data, tmp_path, ranks=4)
    assert "the tokenizer of model.name, as a digest, is" in said
    assert "copy the same model with its tokenizer to every device" in said


def test_devices_with_different_lengths(bert: Path, data: Path) -> None:
    def body(transport: ThreadTransport) -> str:
        task = {"max_length": 32 + transport.rank}
        with pytest.raises(BadInput) as bad:
            open_run(settings(bert, data, strategy={"name": "split"}, task=task), transport)
        return str(bad.value)

    assert all("task.max_length is 33 on rank 1 but 32 on rank 0" in s for s in run_ranks(2, body))


class Asked:
    """Every device is asked once whether it leaves; the one that is asked ``after`` times does."""

    def __init__(self, after: int) -> None:
        self._after, self._calls, self._leaver = after, Counter[int](), 0

    def is_set(self) -> bool:
        me = threading.get_ident()
        self._calls[me] += 1
        if not self._leaver and self._calls[me] == self._after:
            self._leaver = me
        return self._leaver == me


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("after", [1, 7])
def test_a_device_may_leave(
    after: int,
    replay: bool,
    bert: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Asked(after)
    monkeypatch.setattr("mpiedge.run.splitting.leave_asked", lambda _: nullcontext(asked))
    strategy = {"cuts": [2], "replay": replay, "on_loss": "continue"}
    found = split(bert, data, tmp_path, 4, strategy=strategy)
    sent = sorted(r["sent"]["activation"]["messages"] for r in found.result["ranks"][1:])
    # A message that says so beside those before.
    assert sent[0] == after
    assert sent[1] > 12
    assert len(found.losses) == 24
    assert all(0.1 < loss < 3 for loss in found.losses)


def test_who_leaves_needs_messages(bert: Path, data: Path, tmp_path: Path) -> None:
    said = refused(bert, data, tmp_path, strategy={"on_loss": "continue", "aggregation": "gather"})
    assert "strategy.on_loss continue needs messages, but strategy.aggregation is gather" in said


@pytest.mark.parametrize("name", ["split", "splitlora"])
@pytest.mark.parametrize("aggregation", ["point-to-point", "gather"])
def test_fewer_clients_than_devices(
    aggregation: str, name: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    strategy = {"name": name, "clients": 2, "cuts": [2], "aggregation": aggregation}
    alone = split(bert, data, tmp_path, 1, strategy=strategy)
    found = split(bert, data, tmp_path, 4, strategy=strategy)
    assert difference(alone, found) < 1e-5
    assert found.result["ranks"][3]["layers"] == []


def test_a_finished_run_is_opened_again(bert: Path, data: Path, tmp_path: Path) -> None:
    found = split(bert, data, tmp_path, 2, strategy={"cuts": [2]})

    def body(transport: ThreadTransport) -> dict[str, float] | None:
        model = reopen(found.folder, settings_of(found.folder), transport)
        examples = read(model.opened, model.plan.starts, count(model.opened, ("validation",)))
        engine = Engine(transport, model.shard, model.opened.task, Settled())
        observed = observe(transport, engine, validation_of(model.opened, model.plan, examples))
        transport.close()
        return None if observed is None else model.opened.task.score(observed)

    for ranks in (1, 2):
        assert run_ranks(ranks, body)[0] == pytest.approx(found.result["metrics"], rel=1e-4)
    assert settings_of(found.folder).adapter.lowest == 3
