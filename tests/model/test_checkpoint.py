"""Tensors are found under the names that checkpoints have, and only those asked for are read."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.model import checkpoint, tensor_file
from mpiedge.model.checkpoint import FileCheckpoint
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.source import find_source
from tests.model.rows import batch, loaded, opened, run
from tests.models import save_tiny, tiny_model

Rewrite = Callable[[Path], None]


def as_shards(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    tiny_model("bert").save_pretrained(folder, max_shard_size="30KB")


def as_torch(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def as_torch_shards(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    files = {name: f"pytorch_model-{i % 3}.bin" for i, name in enumerate(tensors)}
    for file in set(files.values()):
        part = {name: tensors[name] for name in tensors if files[name] == file}
        torch.save(part, folder / file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def renamed(rename: Callable[[str], str]) -> Rewrite:
    def rewrite(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors = {rename(name): tensor for name, tensor in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})

    return rewrite


def old_norms(name: str) -> str:
    new = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return new.replace("LayerNorm.bias", "LayerNorm.beta")


REWRITES = {
    "shards": as_shards,
    "torch": as_torch,
    "torch shards": as_torch_shards,
    "no prefix": renamed(lambda name: name.removeprefix("bert.")),
    "old norms": renamed(old_norms),
}


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_the_model_is_the_same_however_it_was_saved(tmp_path: Path, rewrite: Rewrite) -> None:
    plain = loaded(save_tiny("bert", tmp_path / "plain"), Purpose.CLASSIFICATION)
    folder = save_tiny("bert", tmp_path / "other")
    rewrite(folder)
    other = loaded(folder, Purpose.CLASSIFICATION)
    given, every = batch("bert"), range(plain.blueprint.num_layers)
    logits = [
        run([(shard, every)], given, Purpose.CLASSIFICATION).hidden for shard in (plain, other)
    ]
    assert torch.equal(*logits)


Read = list[tuple[str, str]]


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Read:
    """The file and name of every tensor that is read from now on."""
    read: Read = []

    def read_tensors(path: Path, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in tensor_file.read_tensors(path, names):
            read.append((path.name, name))
            yield name, tensor

    form = replace(checkpoint.SAFETENSORS, read=read_tensors)
    monkeypatch.setattr(checkpoint, "SAFETENSORS", form)
    return read


def test_only_the_held_layers_tensors_are_read(tmp_path: Path, spied: Read) -> None:
    blueprint = opened(save_tiny("bert", tmp_path, blocks=6), Purpose.CLASSIFICATION)
    load(blueprint, [2, 3])
    parts = ("bert.encoder.layer.1.", "bert.encoder.layer.2.")
    assert len(spied) == 2 * 16
    assert all(name.startswith(parts) for _, name in spied)


def test_only_the_files_with_held_layers_are_read(tmp_path: Path, spied: Read) -> None:
    folder = save_tiny("bert", tmp_path)
    as_shards(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {file for name, file in index.items() if name.startswith("bert.encoder.layer.0.")}
    for file in set(index.values()) - needed:
        (folder / file).unlink()
    load(opened(folder, Purpose.CLASSIFICATION), [1])
    assert {file for file, _ in spied} == needed < set(index.values())


def test_a_name_that_is_nowhere_is_not_located(tmp_path: Path) -> None:
    found = FileCheckpoint(find_source(str(save_tiny("gpt2", tmp_path))), "transformer.")
    assert found.locate(("wte.weight",)) == "transformer.wte.weight"
    assert found.locate(("lm_head.weight", "transformer.wte.weight")) == "transformer.wte.weight"
    assert found.locate(("lm_head.weight",)) is None


def test_a_shard_cut_short_is_named(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    as_shards(folder)
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(BadInput, match=f"^{shard.name}: is cut short"):
        loaded(folder, Purpose.CLASSIFICATION)


def test_a_shard_that_the_index_lists_but_nobody_copied_is_named(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    as_shards(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    shard = index["bert.encoder.layer.1.output.dense.weight"]
    (folder / shard).unlink()
    with pytest.raises(BadInput, match=f"has no {shard}; "):
        loaded(folder, Purpose.CLASSIFICATION)


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    as_shards(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(BadInput, match="is no index"):
        loaded(folder, Purpose.CLASSIFICATION)


def test_a_torch_file_cut_short_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    as_torch(folder)
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match="^pytorch_model.bin: .* 5,000 bytes are there"):
        loaded(folder, Purpose.CLASSIFICATION)


class Trap:
    """What must not come to life when weights are read."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, ("raise SystemExit('executed')",)


def test_a_torch_file_with_more_than_weights_is_refused_unexecuted(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    as_torch(folder)
    torch.save({"a": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match="^pytorch_model.bin: "):
        loaded(folder, Purpose.CLASSIFICATION)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="has no weights: neither model.safetensors"):
        loaded(folder, Purpose.CLASSIFICATION)
