"""Fine-tuning with plain transformers and PEFT: what mpiedge is compared with.

    python plain.py MODEL DATA EPOCHS SEED

Prints one JSON object: the metrics and the seconds of training.
"""

import csv
import json
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from sklearn.metrics import accuracy_score, f1_score
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
)

BATCH, RATE, WARMUP = 32, 1e-3, 0.06


def rows(path, tokenizer):
    """The examples of a file, tokenised."""
    with path.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = [[row[name] for row in found] for name in found[0] if name != "label"]
    encoded = tokenizer(*texts, truncation=True, max_length=128)
    labels = [int(row["label"]) for row in found]
    return [
        {**{key: encoded[key][i] for key in encoded}, "labels": label}
        for i, label in enumerate(labels)
    ]


def train(model, loader, epochs):
    """The usual loop; the seconds it took."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0)
    steps = epochs * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, round(WARMUP * steps), steps)
    start = time.monotonic()
    model.train()
    for _ in range(epochs):
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return time.monotonic() - start


@torch.no_grad()
def predict(model, loader):
    """The labels found and the right ones."""
    model.eval()
    pairs = [(model(**batch).logits.argmax(-1), batch["labels"]) for batch in loader]
    found, right = (torch.cat(column).numpy() for column in zip(*pairs, strict=True))
    return found, right


def main(name, data, epochs, seed):
    """One run."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=2)
    config = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "value"])
    model = get_peft_model(model, config)
    collate = DataCollatorWithPadding(tokenizer)
    splits = [rows(data / f"{split}.tsv", tokenizer) for split in ("train", "validation")]
    train_loader = DataLoader(splits[0], BATCH, shuffle=True, collate_fn=collate)
    seconds = train(model, train_loader, epochs)
    found, right = predict(model, DataLoader(splits[1], BATCH, collate_fn=collate))
    scores = {"accuracy": accuracy_score(right, found), "f1": f1_score(right, found)}
    print(json.dumps({**scores, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
