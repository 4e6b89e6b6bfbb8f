import pytest
from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.tokens import AT_ONCE, TextEncoder


def test_a_pair_has_types(tokenizer: PreTrainedTokenizerBase) -> None:
    (pair,) = TextEncoder(tokenizer, 16).encode([("a b", "c")])
    assert pair.tokens == (2, 4, 5, 3, 6, 3)
    assert pair.types == (0, 0, 0, 0, 1, 1)


def test_one_text_needs_no_types(tokenizer: PreTrainedTokenizerBase) -> None:
    (one,) = TextEncoder(tokenizer, 16).encode([("a zebra",)])
    assert (one.tokens, one.types) == ((2, 4, 1, 3), ())


def test_what_is_too_long_is_cut_and_special_tokens_stay(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    encoder = TextEncoder(tokenizer, 5)
    assert encoder.encode([("a b c d e",)])[0].tokens == (2, 4, 5, 6, 3)
    assert encoder.encode([("a b c d", "e")])[0].tokens == (2, 4, 3, 8, 3)


def test_an_empty_text_is_a_row_of_one_token_at_least(
    tokenizer: PreTrainedTokenizerBase, bare_tokenizer: PreTrainedTokenizerBase
) -> None:
    assert TextEncoder(tokenizer, 16).encode([("",)])[0].tokens == (2, 3)
    assert TextEncoder(bare_tokenizer, 16).encode([("",)])[0].tokens == (3,)


def test_many_texts_keep_their_order(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = [("a " * (1 + i % 5),) for i in range(2 * AT_ONCE + 3)]
    found = TextEncoder(tokenizer, 16).encode(texts)
    assert [len(e.tokens) - 2 for e in found] == [1 + i % 5 for i in range(len(texts))]


def test_no_texts_are_no_examples(tokenizer: PreTrainedTokenizerBase) -> None:
    assert TextEncoder(tokenizer, 16).encode([]) == []


def test_equal_ids_are_one_object() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({str(i): i for i in range(1000)}, unk_token="0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    encoder = TextEncoder(PreTrainedTokenizerFast(tokenizer_object=inner), 16)
    first, second = encoder.encode([("900 901",), ("901 900",)])
    assert first.tokens[0] is second.tokens[1]


def test_pieces_are_not_cut(tokenizer: PreTrainedTokenizerBase) -> None:
    encoder = TextEncoder(tokenizer, 5)
    assert encoder.pieces(["a b c d e f"], special=False) == [(4, 5, 6, 7, 8, 9)]
    assert encoder.pieces(["a b c d e f"], special=True) == [(2, 4, 5, 6, 7, 8, 9, 3)]


def test_padding_ids_of_tokenizers_with_and_without_one(
    tokenizer: PreTrainedTokenizerBase, bare_tokenizer: PreTrainedTokenizerBase
) -> None:
    assert TextEncoder(tokenizer, 16).pad == 0
    assert TextEncoder(bare_tokenizer, 16).pad == bare_tokenizer.eos_token_id == 3


def test_a_length_that_holds_no_pair_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(BadInput, match="task.max_length is 4, .* takes 5 tokens .* 5 or more"):
        TextEncoder(tokenizer, 4)


def test_texts_and_pairs_do_not_mix(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(BadInput, match="some texts come alone and some in pairs"):
        TextEncoder(tokenizer, 16).encode([("a",), ("a", "b")])
