"""A weight in few bits acts as the plain numbers it stands for, and never keeps them."""

import copy
from collections.abc import Callable

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from mpiedge.model.block_codec import INT8, NF4, Codes, Format
from mpiedge.model.quantized_weight import QuantizedWeight, quantized

FORMS = pytest.mark.parametrize("form", [INT8, NF4], ids=["int8", "nf4"])
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
CPU = torch.device("cpu")
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(70, 130),
    "no bias": lambda: nn.Linear(70, 130, bias=False),
    "conv1d": lambda: Conv1D(130, 70),
}
EVERY = pytest.mark.parametrize("kind", LAYERS)


def pair(
    kind: str, form: Format, dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, nn.Module]:
    """A layer with a quantised weight, and the same with the plain numbers of it."""
    torch.manual_seed(3)
    few = LAYERS[kind]().to(dtype).requires_grad_(False)
    nn.init.normal_(few.weight, std=0.05)
    plain = copy.deepcopy(few)
    weight = quantized(few.weight, form, dtype, CPU)
    few.weight = nn.Parameter(weight, requires_grad=False)
    plain.weight.copy_(few.weight.dense())
    return few, plain


def rows(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(2, 5, 70, generator=torch.Generator().manual_seed(4)).to(dtype)


@FORMS
@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_gives_exactly_what_the_plain_numbers_give(
    form: Format, kind: str, dtype: torch.dtype
) -> None:
    few, plain = pair(kind, form, dtype)
    expected = plain(rows(dtype))
    assert torch.equal(few(rows(dtype)), expected)
    assert expected.dtype is dtype
    assert isinstance(few.weight, QuantizedWeight)


@FORMS
@EVERY
def test_gradients_are_exactly_those_of_the_plain_numbers(form: Format, kind: str) -> None:
    gradients = []
    for layer in pair(kind, form):
        x = rows().requires_grad_()
        layer(x).square().sum().backward()
        gradients.append(x.grad)
    assert gradients[0].abs().max() > 0.1
    assert torch.equal(*gradients)


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_a_bias_may_be_trained(kind: str) -> None:
    gradients = []
    for layer in pair(kind, INT8):
        layer.bias.requires_grad_(True)
        layer(rows()).square().sum().backward()
        gradients.append(layer.bias.grad)
    assert torch.allclose(*gradients, rtol=1e-5, atol=1e-6)


@FORMS
@EVERY
def test_only_codes_wait_for_the_backward_pass(form: Format, kind: str) -> None:
    kept: list[Tensor] = []
    few, plain = pair(kind, form)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        few(rows().requires_grad_())
        few_kept, kept[:] = list(kept), []
        plain(rows().requires_grad_())
    # The plain layer keeps its weight, or a view of it: the hook sees what it should.
    assert any(each.numel() == plain.weight.numel() for each in kept)
    assert [type(each) for each in few_kept] == [QuantizedWeight]


@FORMS
def test_an_embedding_looks_up_the_same_rows(form: Format) -> None:
    draw = torch.Generator().manual_seed(5)
    table = torch.randn(50, 33, generator=draw)
    layer = nn.Embedding(50, 33, padding_idx=0)
    weight = quantized(table, form, torch.float32, CPU)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    ids = torch.randint(0, 50, (3, 4), generator=draw)
    assert torch.equal(layer(ids), layer.weight.dense()[ids])


@FORMS
def test_peft_wraps_it_and_trains_beside_it(form: Format) -> None:
    gradients = []
    for layer in pair("linear", form):
        model = nn.Sequential(layer, nn.Tanh())
        torch.manual_seed(0)
        config = LoraConfig(r=2, target_modules=["0"], init_lora_weights=False)
        inject_adapter_in_model(config, model)
        x = rows().requires_grad_()
        model(x).sum().backward()
        gradients.append(
            [x.grad, *(each.grad for each in model.parameters() if each.requires_grad)]
        )
    assert len(gradients[0]) == 3
    assert all(torch.equal(*each) for each in zip(*gradients, strict=True))


def test_it_cannot_be_written_to() -> None:
    few, plain = pair("linear", INT8)
    with pytest.raises(TypeError, match="a quantised weight is frozen"):
        few.weight.copy_(plain.weight)
    with pytest.raises(TypeError, match="a quantised weight is frozen"):
        few.weight.zero_()
    assert torch.equal(few.weight.dense(), plain.weight)


def test_elsewhere_it_is_its_numbers() -> None:
    few, plain = pair("linear", NF4, torch.bfloat16)
    assert few.weight.shape == (130, 70)
    assert few.weight.dtype is torch.bfloat16
    assert torch.equal(few.weight.t() * 2, plain.weight.t() * 2)
    assert torch.equal(torch.cat([few.weight, plain.weight]), torch.cat([plain.weight] * 2))
    assert f"{few.weight[0, 0]:.4f}" == f"{plain.weight[0, 0]:.4f}"
    assert isinstance(copy.deepcopy(few).weight, QuantizedWeight)


def test_going_to_the_meta_device_leaves_an_empty_tensor_of_its_shape() -> None:
    few, _ = pair("linear", INT8)
    for empty in (few.weight.to("meta"), torch.empty_like(few.weight, device="meta")):
        assert type(empty) is Tensor
        assert (empty.is_meta, empty.shape, empty.dtype) == (True, (130, 70), torch.float32)
    assert few.to("meta").weight.is_meta


@FORMS
def test_an_output_layer_of_all_words_is_made_in_pieces(
    form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, plain = pair("linear", form)
    made = list[int]()
    decoded = Codes.decoded

    def noted(codes: Codes, dtype: torch.dtype) -> Tensor:
        made.append(len(codes.codes))
        return decoded(codes, dtype)

    monkeypatch.setattr(Codes, "decoded", noted)
    monkeypatch.setattr("mpiedge.model.quantized_weight._WHOLE", 100 * 70)
    monkeypatch.setattr("mpiedge.model.quantized_weight._PIECE", 40 * 70)
    found = []
    for layer in (few, plain):
        x = rows().requires_grad_()
        y = layer(x)
        y.square().sum().backward()
        assert x.grad is not None
        found.append((y.detach(), x.grad))
    assert made == [40, 40, 40, 10] * 2
    torch.testing.assert_close(found[0], found[1])
