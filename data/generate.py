"""Writes ``data/home``: what people say to an assistant at home, and what they want by it.

The phrasings are data too (``data/grammar``): a file for each split, so that a sentence of the
validation split is never built like one of the training split.  Everything follows from one seed:

    python data/generate.py            writes data/home/train.tsv and data/home/validation.tsv
"""

import argparse
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SEED = 7
COUNTS = {"train": 144, "validation": 30}  # sentences of each intent
GRAMMARS = {"train": "train.txt", "validation": "unseen.txt"}
SLIP_SHARE = 0.08  # sentences that are misheard or mistyped
OPENER_SHARE = 0.4
CLOSER_SHARE = 0.15
ATTEMPTS = 100_000

Sections = dict[str, tuple[str, ...]]

COMMAND_OPENERS = {
    "train": (
        *("please", "can you", "can you please", "could you", "could you please", "would you"),
        *("hey", "hey can you", "okay", "um", "uh", "um can you", "i need you to"),
        *("i'd like you to", "i want you to", "go ahead and"),
    ),
    "validation": (
        *("please", "can you", "could you please", "would you be so kind and", "sorry could you"),
        *("do me a favor and", "listen", "would you be able to", "well", "hmm maybe"),
    ),
}
OPENERS = {"train": ("hey", "okay", "um", "uh"), "validation": ("hey", "oh", "hmm")}
CLOSERS = ("please", "please", "thanks", "thank you")
MISHEARD = {
    **{"for": "four", "to": "two", "a": "uh", "in": "and", "eight": "ate", "will": "well"},
    **{"light": "lite", "lights": "lice", "lamp": "lamb", "room": "rum", "lock": "look"},
    **{"alarm": "a large", "timer": "time are", "remind": "rewind", "call": "cole", "mom": "mum"},
    **{"weather": "whether", "heat": "heap", "vacuum": "back room", "volume": "volumes"},
    **{"it's": "its", "i'm": "im", "don't": "dont", "what's": "whats", "blinds": "blind"},
}


class Phrase(NamedTuple):
    """One way to say something; ``command`` may be opened with "can you"."""

    template: str
    command: bool


class Sentence(NamedTuple):
    """A sentence as spoken, its intent, and what it was made from."""

    text: str
    label: str
    core: str
    template: str


def read_sections(path: Path) -> Sections:
    """The lines of a grammar file under each ``[name]``."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            lines = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return {name: tuple(section) for name, section in found.items()}


def phrases(section: tuple[str, ...]) -> tuple[Phrase, ...]:
    """The phrasings of one intent."""
    return tuple(Phrase(line.removeprefix("+ "), line.startswith("+ ")) for line in section)


def spoken(template: str, words: Sections, draw: random.Random) -> str:
    """One sentence of a template: words for ``{name}``, one of several for ``(a|b|)``."""
    while found := re.search(r"\(([^()]*)\)|\{(\w+)\}", template):
        choices = words[found[2]] if found[2] else found[1].split("|")
        template = template[: found.start()] + draw.choice(choices) + template[found.end() :]
    return " ".join(template.split())


def dressed(core: str, phrase: Phrase, split: str, draw: random.Random) -> str:
    """The sentence with the small words that people put around it."""
    openers = COMMAND_OPENERS[split] if phrase.command else OPENERS[split]
    share = OPENER_SHARE if phrase.command else OPENER_SHARE / 2
    opener = draw.choice(openers) if draw.random() < share else ""
    closing = phrase.command and "please" not in f"{opener} {core}"
    closer = draw.choice(CLOSERS) if closing and draw.random() < CLOSER_SHARE else ""
    return f"{opener} {core} {closer}".strip()


def slipped(text: str, draw: random.Random) -> str:
    """The sentence with one slip: a word misheard, said twice or lost, or two letters swapped."""
    words = text.split()
    slip = draw.choice(("misheard", "misheard", "twice", "lost", "swapped"))
    spots = [i for i, word in enumerate(words) if _can(slip, word)]
    if not spots:
        return text
    i = draw.choice(spots)
    if slip == "misheard":
        words[i] = MISHEARD[words[i]]
    elif slip == "twice":
        words[i] += " " + words[i]
    elif slip == "lost":
        del words[i]
    else:
        j = draw.randrange(1, len(words[i]) - 2)
        words[i] = words[i][:j] + words[i][j + 1] + words[i][j] + words[i][j + 2 :]
    return " ".join(words)


def _can(slip: str, word: str) -> bool:
    if slip == "misheard":
        return word in MISHEARD
    if slip in ("twice", "lost"):
        return word in {"the", "a", "to", "in", "my", "i", "of"}
    return len(word) > 4 and word.isalpha()


def sentences(
    label: str, section: tuple[str, ...], words: Sections, split: str
) -> Iterator[Sentence]:
    """Endless sentences of one intent, every phrasing as often as any other."""
    draw = random.Random(f"{SEED} {split} {label}")
    choices = phrases(section)
    for _ in range(ATTEMPTS):
        phrase = draw.choice(choices)
        core = spoken(phrase.template, words, draw)
        text = dressed(core, phrase, split, draw)
        if draw.random() < SLIP_SHARE:
            text = slipped(text, draw)
        yield Sentence(text, label, core, phrase.template)


def generate(split: str, taken: frozenset[str] = frozenset()) -> list[Sentence]:
    """All sentences of a split, none twice and none of those taken."""
    words = read_sections(HERE / "grammar" / "words.txt")
    grammar: Mapping[str, tuple[str, ...]] = read_sections(HERE / "grammar" / GRAMMARS[split])
    seen = set(taken)
    found: list[Sentence] = []
    for label, section in grammar.items():
        wanted = len(found) + COUNTS[split]
        for sentence in sentences(label, section, words, split):
            if len(found) == wanted:
                break
            if sentence.text not in seen:
                seen.add(sentence.text)
                found.append(sentence)
    random.Random(f"{SEED} {split}").shuffle(found)
    return found


def table(found: list[Sentence]) -> str:
    """The sentences as a file: tab-separated, a header first."""
    return "text\tlabel\n" + "".join(f"{s.text}\t{s.label}\n" for s in found)


def main() -> None:
    """Write both splits."""
    parser = argparse.ArgumentParser(description="Write the data set of spoken requests.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "home")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    train = generate("train")
    validation = generate("validation", frozenset(s.text for s in train))
    for name, found in (("train", train), ("validation", validation)):
        (folder / f"{name}.tsv").write_bytes(table(found).encode())
        print(f"{folder / name}.tsv: {len(found)} sentences")


if __name__ == "__main__":
    main()
