"""Whole runs of a ring: the same on any number of ranks, and with nothing private in a message."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.comm.transport import Kind, Tag
from mpiedge.errors import BadInput
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.turns import Settled
from mpiedge.run.checkpoints import begun
from mpiedge.run.evaluation import observe, validation_of
from mpiedge.run.examples import count, read
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.output import Output
from mpiedge.run.phases import Entered
from mpiedge.run.preparing import Prepared
from mpiedge.run.progress import Silent
from mpiedge.run.reopening import reopen, settings_of
from mpiedge.run.training import _finish, train
from tests.models import save_tiny
from tests.runs import Finished, difference, finished, run, settings, write_requests

SGD = {"optimizer": "sgd", "learning_rate": 0.5, "max_steps": 15, "clip_norm": 0.05}
ADAPTER = {"kind": "bottleneck", "bottleneck": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("ring") / "requests")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ring") / "bert"
    return save_tiny("bert", folder, blocks=3, hidden_dropout_prob=0.1)


def ring(model: Path, data: Path, folder: Path, ranks: int, **sections: Any) -> Finished:
    """A run of a ring of three clients, unless the sections say otherwise."""
    changes = {
        "adapter": ADAPTER,
        "training": SGD,
        "cache": {"folder": str(folder / "cache")},
        **sections,
        "strategy": {"name": "ring", "clients": 3, "interval": 4, **sections.get("strategy", {})},
    }
    return run(settings(model, data, **changes), ranks, folder / f"on-{ranks}")


@pytest.mark.parametrize("family", ["roberta", "gpt2", "llama", "t5", "bart"])
def test_every_family(family: str, data: Path, tmp_path: Path) -> None:
    model = save_tiny(family, tmp_path / family)
    more = {"adapter": {"kind": "lora", "r": 4}, "strategy": {"interval": 3}}
    alone = ring(model, data, tmp_path, 1, **more)
    assert difference(alone, ring(model, data, tmp_path, 2, **more)) < 1e-6
    assert len(set(alone.losses)) > 10


@pytest.mark.parametrize("adamw", [False, True])
@pytest.mark.parametrize("schedule", [{}, {"turn": "epoch", "depth": 2}, {"depths": [1, 3]}])
def test_the_prefix_cache_changes_nothing(
    schedule: dict[str, Any], adamw: bool, bert: Path, data: Path, tmp_path: Path
) -> None:
    training = {**SGD, "epochs": 3, "max_steps": 0, "batch_size": 16}
    if adamw:
        training = {**training, "optimizer": "adamw", "learning_rate": 0.01}
    plain = ring(bert, data, tmp_path, 1, training=training, strategy=schedule)
    cached = {**schedule, "prefix_cache": True}
    for ranks in (1, 3):
        kept = ring(bert, data, tmp_path / "kept", ranks, training=training, strategy=cached)
        assert difference(plain, kept) < 1e-5
        assert kept.losses == pytest.approx(plain.losses, rel=1e-5)
        assert sum(rank.get("cache_bytes", 0) for rank in kept.result["ranks"]) > 0
        assert [phase["source"] for phase in kept.result["plan"]][-1] == "replay"
        assert not list((tmp_path / "kept" / "cache").glob("ring-*"))


def test_a_replayed_epoch_runs_nothing_below_its_entrance(
    bert: Path, data: Path, tmp_path: Path
) -> None:
    more = {
        "training": {**SGD, "epochs": 4, "max_steps": 0, "evaluate_every": 100},
        "strategy": {"depths": [1], "prefix_cache": False},
    }
    plain = ring(bert, data, tmp_path / "plain", 3, **more)
    more["strategy"]["prefix_cache"] = True
    kept = ring(bert, data, tmp_path / "kept", 3, **more)
    sent = [
        [rank["sent"]["activation"]["messages"] for rank in r.result["ranks"]]
        for r in (plain, kept)
    ]
    # The last block is on rank 2: from the second epoch on only it sends, to the initiators.
    assert sum(sent[1]) < 0.6 * sum(sent[0])
    assert sent[1][2] <= sent[0][2]
    assert difference(plain, kept) < 1e-5


class Eavesdropper(ThreadTransport):
    """Keeps every message to another rank."""

    heard: list[tuple[Tag, list[Tensor]]]

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        if dest != self.rank:
            self.heard.append((tag, [tensor.detach().clone() for tensor in tensors]))
        super().send(tensors, dest, tag)


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_tokens_and_labels_are_in_no_message(
    family: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_tiny(family, tmp_path / family)
    heard: list[tuple[Tag, list[Tensor]]] = []
    monkeypatch.setattr(Eavesdropper, "heard", heard, raising=False)
    monkeypatch.setattr("mpiedge.comm.threads.ThreadTransport", Eavesdropper)
    cached = family == "bert"
    result = ring(
        model,
        data,
        tmp_path,
        2,
        adapter={"kind": "lora", "r": 4},
        strategy={"prefix_cache": cached, "interval": 6},
        training={**SGD, "max_steps": 0},
    )
    kinds = {tag.kind for tag, _ in heard}
    assert {Kind.ACTIVATION, Kind.GRADIENT, Kind.WEIGHTS} <= kinds
    assert kinds.isdisjoint({Kind.LABELS, Kind.ENTRY, Kind.RECORDS, Kind.STORED})
    for tag, tensors in heard:
        if tag.kind in (Kind.ACTIVATION, Kind.GRADIENT):
            # What is whole numbers is a mask: tokens would have others, labels another shape.
            whole = [tensor for tensor in tensors if not tensor.is_floating_point()]
            assert all(set(t.unique().tolist()) <= {0, 1} and t.dim() == 2 for t in whole)
        elif tag.kind is Kind.VALUE:
            text = bytes(tensors[0].numpy()).decode()
            assert "please" not in text
            assert "kitchen" not in text
    sent = [set(rank["sent"]) for rank in result.result["ranks"]]
    assert all(kinds.isdisjoint({"labels", "entry"}) for kinds in sent)
    assert all("activation" in kinds for kinds in sent)


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three clients' files; the first sees a single label."""
    words = ["turn it on", "turn it off please", "what is it", "dim the light now"]
    return [
        write_rows(tmp_path / "a.tsv", [(words[i % 2], "on") for i in range(9)]),
        write_rows(tmp_path / "b.tsv", [(words[i % 3], ("on", "off")[i % 2]) for i in range(14)]),
        write_rows(tmp_path / "c.tsv", [(words[i % 4], ("off", "other")[i % 2]) for i in range(5)]),
    ]


def test_clients_have_files_of_their_own(
    files: list[str], bert: Path, data: Path, tmp_path: Path
) -> None:
    task = {"client_files": files}
    alone = ring(bert, data, tmp_path, 1, task=task)
    assert alone.result["labels"] == ["off", "on", "other"]
    assert alone.result["steps"] == 2 * (2 + 2 + 1)
    for ranks in (2, 3):
        assert difference(alone, ring(bert, data, tmp_path, ranks, task=task)) < 1e-6


def test_a_file_is_read_on_its_clients_rank_alone(
    files: list[str], bert: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpiedge.run.opening.check_same_values", lambda *_: None)
    alone = ring(bert, data, tmp_path, 1, task={"client_files": files})
    folder = tmp_path / "apart"

    def body(transport: ThreadTransport) -> None:
        mine = [f if c == transport.rank else f"gone-{c}.tsv" for c, f in enumerate(files)]
        # Only rank 0 has the validation examples.
        where = str(data) if transport.rank == 0 else "gone"
        given = settings(
            bert,
            data,
            adapter=ADAPTER,
            training=SGD,
            strategy={"name": "ring", "clients": 3, "interval": 4},
            task={"client_files": mine, "data": where},
        )
        output = Output(folder) if transport.rank == 0 else None
        opened = open_run(given, transport)
        train(opened, begun(opened, folder, Journal(output, Silent()), None))
        transport.close()

    run_ranks(3, body, timeout=60)
    assert difference(alone, finished(folder)) < 1e-6


@pytest.mark.parametrize("split", ["iid", "dirichlet", "label"])
@pytest.mark.parametrize("turn", ["batch", "data"])
def test_one_data_set_is_divided(
    split: str, turn: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    more = {"task": {"split": split}, "strategy": {"clients": 4, "turn": turn}}
    alone = ring(bert, data, tmp_path, 1, **more)
    assert difference(alone, ring(bert, data, tmp_path, 3, **more)) < 1e-6


def test_fewer_clients_than_ranks(bert: Path, data: Path, tmp_path: Path) -> None:
    more = {"strategy": {"clients": 2}}
    alone = ring(bert, data, tmp_path, 1, **more)
    together = ring(bert, data, tmp_path, 3, **more)
    assert difference(alone, together) < 1e-6
    # The third rank neither embeds nor judges.
    assert together.result["ranks"][2]["layers"] == [3]


def test_one_client_with_all_unfrozen_is_plain_training(data: Path, tmp_path: Path) -> None:
    # A ring's embedding is at rest, so it has no dropout; elsewhere it has.
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = save_tiny("bert", tmp_path / "bert", blocks=3, **none)
    more = {"strategy": {"clients": 1, "depth": 3}}
    alone = ring(model, data, tmp_path, 3, **more)
    given = settings(model, data, adapter=ADAPTER, training=SGD)
    plain = run(given, 1, tmp_path / "plain")
    assert difference(plain, alone) < 1e-6


def test_a_plateau_unfreezes_on_all_ranks_at_once(bert: Path, data: Path, tmp_path: Path) -> None:
    plateau = {"unfreeze": "plateau", "patience": 2, "tolerance": 0.9}
    training, found = {**SGD, "max_steps": 0}, []
    for cached in (False, True):
        more = {"training": training, "strategy": {**plateau, "prefix_cache": cached}}
        folder = tmp_path / str(cached)
        alone = ring(bert, data, folder, 1, **more)
        assert difference(alone, ring(bert, data, folder, 3, **more)) < 1e-5
        found.append(alone)
    assert difference(*found) < 1e-5
    never = ring(bert, data, tmp_path, 1, training=training, strategy={"depths": [1]})
    assert difference(alone, never) > 1e-3


def test_what_was_never_unfrozen_is_as_it_began(bert: Path, data: Path, tmp_path: Path) -> None:
    top = ring(bert, data, tmp_path, 3, strategy={"step": 0})
    ups = {name: float(w.abs().max()) for name, w in top.weights.items() if "adapter_up" in name}
    raised = {name for name, size in ups.items() if size > 0}
    assert {name for name in ups if ".layer.2." in name or ".2." in name} >= raised
    assert raised
    assert len(raised) < len(ups)


def test_the_naive_ring_gives_the_same(bert: Path, data: Path, tmp_path: Path) -> None:
    ahead = ring(bert, data, tmp_path / "ahead", 3)
    flushed = ring(bert, data, tmp_path / "flushed", 3, strategy={"run_ahead": False})
    narrow = ring(bert, data, tmp_path / "narrow", 3, strategy={"in_flight": 1})
    assert difference(ahead, flushed) < 1e-6
    assert difference(ahead, narrow) < 1e-6


@pytest.mark.parametrize(("how", "most"), [("bfloat16", 5e-2), ("float16", 1e-2), ("int8", 0.2)])
def test_compression_takes_less_and_changes_little(
    how: str, most: float, data: Path, tmp_path: Path
) -> None:
    model = save_tiny("bert", tmp_path / "bert", blocks=3)
    training = {**SGD, "max_steps": 6, "learning_rate": 0.1}
    plain = ring(model, data, tmp_path / "plain", 3, training=training)
    narrow = ring(model, data, tmp_path / "narrow", 3, training=training, comm={"compression": how})
    wide, less = (
        sum(rank["sent"].get("gradient", {"bytes": 0})["bytes"] for rank in r.result["ranks"])
        for r in (plain, narrow)
    )
    assert wide > (2.8 if how == "int8" else 1.8) * less
    assert 0 < difference(plain, narrow) < most


def refused(model: Path, data: Path, folder: Path, ranks: int = 2, **sections: Any) -> str:
    with pytest.raises(BadInput) as bad:
        ring(model, data, folder, ranks, **sections)
    assert "\n" not in str(bad.value)
    return str(bad.value)


def test_a_client_without_data(files: list[str], bert: Path, data: Path, tmp_path: Path) -> None:
    files[1] = write_rows(tmp_path / "empty.tsv", [])
    assert "empty.tsv: the train split is empty" in refused(
        bert, data, tmp_path, task={"client_files": files}
    )
    files[1] = str(tmp_path / "gone.tsv")
    assert "gone.tsv" in refused(bert, data, tmp_path, task={"client_files": files})


def test_more_clients_than_examples(bert: Path, data: Path, tmp_path: Path) -> None:
    said = refused(bert, data, tmp_path, strategy={"clients": 91})
    assert "91 clients cannot share 90 examples" in said


def test_clients_whose_labels_have_nothing_in_common(
    files: list[str], bert: Path, data: Path, tmp_path: Path
) -> None:
    files[2] = write_rows(tmp_path / "d.tsv", [("on it", "ON"), ("off it", "OFF")])
    said = refused(bert, data, tmp_path, task={"client_files": files})
    assert "client 2 has the labels OFF, ON, the others off, on, and none in common" in said


def test_as_many_files_as_clients(files: list[str], bert: Path, data: Path, tmp_path: Path) -> None:
    task = {"client_files": files[:2], "labels": ["on", "off", "other"]}
    said = refused(bert, data, tmp_path, task=task)
    assert "strategy.clients is 3, but task.client_files names 2 files" in said


def test_an_adapter_that_is_not_inside_blocks(bert: Path, data: Path, tmp_path: Path) -> None:
    said = refused(bert, data, tmp_path, adapter={"kind": "full"})
    assert "trains adapters inside frozen blocks, but adapter.kind is full" in said


def test_a_schedule_with_too_many_blocks(bert: Path, data: Path, tmp_path: Path) -> None:
    said = refused(bert, data, tmp_path, strategy={"depth": 4})
    assert "strategy.depth 4 unfreezes more blocks than the model's 3" in said


def test_clients_are_only_for_strategies_that_know_them(
    bert: Path, data: Path, tmp_path: Path
) -> None:
    given = settings(bert, data, strategy={"name": "pipeline", "clients": 2})
    with pytest.raises(BadInput, match=r"strategy.clients is for data that stays"):
        run(given, 2, tmp_path)


def test_ranks_that_disagree_on_the_schedule(bert: Path, data: Path) -> None:
    def body(transport: ThreadTransport) -> str:
        own = {"name": "ring", "interval": 4 + transport.rank}
        with pytest.raises(BadInput) as bad:
            open_run(settings(bert, data, strategy=own), transport)
        return str(bad.value)

    (said, *others) = run_ranks(3, body)
    assert said.startswith("strategy.interval is 5 on rank 1 but 4 on rank 0")
    assert others == [said, said]


def test_a_result_is_used_on_other_ranks(
    files: list[str], bert: Path, data: Path, tmp_path: Path
) -> None:
    trained = ring(bert, data, tmp_path, 3, task={"client_files": files})

    def body(transport: ThreadTransport) -> dict[str, float] | None:
        model = reopen(trained.folder, settings_of(trained.folder), transport)
        found = read(model.opened, model.plan.starts, count(model.opened, ("validation",)))
        engine = Engine(transport, model.shard, model.opened.task, Settled())
        observed = observe(transport, engine, validation_of(model.opened, model.plan, found))
        transport.close()
        return None if observed is None else model.opened.task.score(observed)

    for ranks in (1, 2):
        assert run_ranks(ranks, body)[0] == pytest.approx(trained.result["metrics"], rel=1e-5)


@pytest.mark.parametrize(("depth", "hops"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1])])
def test_gradients_go_no_further_than_the_lowest_unfrozen_block(
    depth: int, hops: list[int], bert: Path, data: Path, tmp_path: Path
) -> None:
    schedule = {"clients": 1, "depth": depth, "step": 0, "layers": [1, 1, 1], "order": [0, 1, 2]}
    result = ring(bert, data, tmp_path, 3, strategy=schedule).result
    passes = 4 * result["steps"]  # micro-batches
    # From the head on rank 0 to the top block on rank 2, and from there down, rank by rank.
    sent = [r["sent"].get("gradient", {"messages": 0})["messages"] for r in result["ranks"]]
    assert sent == [passes * hop for hop in hops]


def test_what_is_frozen_has_no_gradient_and_no_optimizer_state(
    bert: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], set[str], set[str]]] = []

    def spied(run: Prepared, here: Entered, *more: Any) -> None:
        every = dict(here.shard.model.named_parameters())
        wanting = {name for name, p in every.items() if p.requires_grad}
        kept = {name for name, moments in here.update.moments.items() if moments}
        seen.append((wanting, kept, {name for name, p in every.items() if p.grad is not None}))
        _finish(run, here, *more)

    monkeypatch.setattr("mpiedge.run.training._finish", spied)
    training = {**SGD, "optimizer": "adamw", "learning_rate": 0.01}
    ring(bert, data, tmp_path, 1, training=training, strategy={"depths": [1, 2]})
    ((wanting, kept, graded),) = seen
    assert wanting == kept
    assert graded == set()
    blocks = {name.split("layer.")[1][0] for name in wanting if "layer." in name}
    assert blocks == {"1", "2"}
    assert all("adapter_" in name or "layer." not in name for name in wanting)
