"""What is disturbed: a tiny random BERT, requests with three labels, and a run of each strategy."""

import torch
from transformers import BertConfig, BertForPreTraining, BertTokenizerFast

WORDS = "turn on off dim open close the kitchen light hall lamp front door radio fan now please"
STRATEGIES = {
    "pipeline": 'name = "pipeline"',
    "data-parallel": 'name = "data-parallel"',
    "pac": 'name = "pac"',
    "ring": 'name = "ring"\nclients = 2\ninterval = 20',
    "split": 'name = "split"\nclients = 2',
    "deft": 'name = "deft"\nclients = 3\nreplan = 0',
    "fedlora": 'name = "fedlora"\nclients = 3\nlocal_steps = 2',
    "splitlora": 'name = "splitlora"\nclients = 2',
    "ring, kept": 'name = "ring"\nclients = 2\ninterval = 20\ndepth = 3\nprefix_cache = true',
    "split, kept": 'name = "split"\nclients = 2\nreplay = true',
}
CACHING = ("pac", "ring, kept", "split, kept")
SIDE = '[adapter]\nkind = "parallel"\nreduction = 2'
UPDATES = 120
EVERY = 6  # updates between two checkpoints

RUN = """
[model]
name = "{model}"
[task]
name = "classification"
data = "{data}"
max_length = 32
[strategy]
{strategy}
[training]
epochs = 1000
max_steps = {updates}
batch_size = 8
micro_batch_size = 2
learning_rate = 0.003
threads = 1
[checkpoint]
every = {every}
seconds = 0.0
[cache]
folder = "{caches}"
[comm]
timeout = 5.0
{adapter}
"""


def model(folder):
    """Write the model; the folder."""
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertForPreTraining(config).save_pretrained(folder)
    return folder


def data(folder):
    """Write the requests; the folder."""
    folder.mkdir(parents=True)
    words = WORDS.split()
    for split, count in (("train", 90), ("validation", 12)):
        rows = (
            f"{' '.join(words[(i * k) % len(words)] for k in range(1, 4 + i % 5))}\t{'abc'[i % 3]}"
            for i in range(count)
        )
        text = "\n".join(["text\tlabel", *rows])
        (folder / f"{split}.tsv").write_text(f"{text}\n", encoding="utf-8")
    return folder


def run_file(place, name, folder):
    """Write a strategy's run file; its caches are in ``folder``."""
    text = RUN.format(
        model=place / "model",
        data=place / "data",
        strategy=STRATEGIES[name],
        adapter=SIDE if name == "pac" else "",
        caches=folder / "caches",
        updates=UPDATES,
        every=EVERY,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.toml").write_text(text, encoding="utf-8")
    return folder / "run.toml"
