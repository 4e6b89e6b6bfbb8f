"""The model card of an exported model: what it is made of, how, and how good it was found.

The head of it is what the Hugging Face hub reads.  Texts and file names of the data are not in it:
a card is made to be shown.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpiedge.config import RunSettings
from mpiedge.model.purpose import Purpose

_TASKS = {
    Purpose.CLASSIFICATION: "text-classification",
    Purpose.REGRESSION: "text-classification",
    Purpose.LANGUAGE: "text-generation",
    Purpose.SEQ2SEQ: "text2text-generation",
}
_CLASSES = {
    Purpose.CLASSIFICATION: "AutoModelForSequenceClassification",
    Purpose.REGRESSION: "AutoModelForSequenceClassification",
    Purpose.LANGUAGE: "AutoModelForCausalLM",
    Purpose.SEQ2SEQ: "AutoModelForSeq2SeqLM",
}


def card(settings: RunSettings, result: Mapping[str, Any], purpose: Purpose) -> str:
    """A README.md for the model that a run made; ``result`` is its result.json."""
    adapter, training = settings.adapter, settings.training
    # Where on someone's disk the model lay is nobody's business.
    base = Path(settings.model.name)
    name = base.name if base.exists() else settings.model.name
    way = "all weights" if adapter.kind == "full" else f"LoRA, r = {adapter.r}, merged"
    ranks = len(result["ranks"])
    lines = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {_TASKS[purpose]}",
        f"base_model: {json.dumps(name)}",
        "tags: [mpiedge]",
        "---",
        "",
        f"# {name}, fine-tuned",
        "",
        "| what | |",
        "|---|---|",
        f"| tuned | {way} ({result['tuned_weights']:,} weights) |",
        f"| task | {settings.task.name} |",
        *([f"| labels | {', '.join(result['labels'])} |"] if result["labels"] else []),
        f"| strategy | {settings.strategy.name}, {ranks} device{'s' if ranks > 1 else ''} |",
        f"| training | {result['steps']:,} updates, batches of {training.batch_size}, learning "
        f"rate {training.learning_rate:g}, seed {training.seed} |",
        *(f"| {name}, validation | {value:.4f} |" for name, value in result["metrics"].items()),
        "",
        "## Use",
        "",
        "```python",
        f"from transformers import AutoTokenizer, {_CLASSES[purpose]}",
        "",
        f'model = {_CLASSES[purpose]}.from_pretrained("this/folder")',
        'tokenizer = AutoTokenizer.from_pretrained("this/folder")',
        "```",
        "",
        f"The licence of the model it was made from holds. Made with mpiedge {result['mpiedge']}.",
    ]
    return "\n".join(lines) + "\n"
