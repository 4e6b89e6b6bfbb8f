"""A rank needs the memory of the layers it holds, not of the model."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from /proc"
)
BLOCKS, WIDTH = 9, 512
MIB = 1 << 20

LOAD_AND_READ = """
import sys
from mpiedge.model.blueprint import open_model
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import ModelSettings

def resident(field):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines[field].split()[0]) * 1024

folder, dtype, first, last, tuned, quantize = sys.argv[1:]
settings = ModelSettings(name=folder, dtype=dtype, quantize=quantize)
blueprint = open_model(settings, Purpose.CLASSIFICATION, 2)
layers = range(int(first), int(last))
names = frozenset(name for layer in layers for name in blueprint.parameters(layer))
# Whatever is imported late must not be counted as weights.
load(blueprint, [blueprint.num_layers - 1])
before = resident("VmRSS")
shard = load(blueprint, layers, tuned=names if tuned == "tuned" else frozenset())
# A weight counts when it is read, were it a mapped part of its file.
read = shard.parameters_of if quantize == "none" else lambda layer: {}
total = sum(float(each.sum()) for layer in layers for each in read(layer).values())
print(resident("VmHWM") - before, sum(map(blueprint.weight_bytes, layers)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of some 200 MB of which almost everything is blocks."""
    path = tmp_path_factory.mktemp("large")
    shape = {"hidden_size": WIDTH, "intermediate_size": 10 * WIDTH, "num_attention_heads": 8}
    BertModel(BertConfig(**shape, num_hidden_layers=BLOCKS, vocab_size=2000)).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def torch_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as torch saves it."""
    path = tmp_path_factory.mktemp("torch")
    (path / "config.json").write_text((folder / "config.json").read_text())
    torch.save(load_file(folder / "model.safetensors"), path / "pytorch_model.bin")
    return path


def measured(folder: Path, dtype: str, tuned: str, quantize: str = "none") -> tuple[int, int, int]:
    """Bytes that loading a third of the layers took at its highest, of those, and of the model."""
    layers = range(1, 1 + BLOCKS // 3)
    arguments = [str(folder), dtype, str(layers.start), str(layers.stop), tuned, quantize]
    command = [sys.executable, "-c", LOAD_AND_READ, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    peak, weights = map(int, result.stdout.split())
    return peak, weights, sum(file.stat().st_size for file in folder.iterdir())


def test_a_third_of_a_model_takes_a_third_of_its_memory(folder: Path) -> None:
    peak, weights, whole = measured(folder, "float32", "frozen")
    assert whole > 190 * MIB
    assert 0.3 * whole < weights < 0.36 * whole
    assert 0.95 * weights < peak < weights + 24 * MIB


def test_so_does_one_of_a_torch_file_that_is_trained(torch_folder: Path) -> None:
    peak, weights, whole = measured(torch_folder, "float32", "tuned")
    assert 0.3 * whole < weights < 0.36 * whole
    assert 0.95 * weights < peak < weights + 24 * MIB


def test_weights_are_converted_one_by_one(folder: Path) -> None:
    peak, weights, whole = measured(folder, "bfloat16", "frozen")
    assert 0.15 * whole < weights < 0.18 * whole
    # One tensor as it was stored, and what torch needs to add up numbers of sixteen bits.
    assert 0.95 * weights < peak < weights + 40 * MIB


@pytest.mark.parametrize(("quantize", "share"), [("int8", 0.258), ("int4", 0.133)])
def test_weights_are_quantised_one_by_one(folder: Path, quantize: str, share: float) -> None:
    peak, weights, whole = measured(folder, "float32", "frozen", quantize)
    assert 0.3 * share * whole < weights < 0.36 * share * whole
    # One tensor as it was stored, and a piece of it on its way into codes.
    assert 0.95 * weights < peak < weights + 24 * MIB
