"""What ``mpiedge predict`` is asked: texts or pairs, from the command line or line by line."""

import json
import os

from mpiedge.errors import BadInput
from mpiedge.launch.standard_input import lines

Text = tuple[str, ...]


def inputs(texts: Text, width: int) -> list[Text]:
    """The inputs, each of ``width`` texts (0: one or two), from standard input if none is given."""
    if texts:
        return [_checked(texts, width, "the command line", "quote each text")]
    with lines(os.environ) as read:
        found = [_line(number, line.rstrip("\r\n"), width) for number, line in enumerate(read, 1)]
    if not found:
        raise BadInput("nothing to predict: give a text, or one input a line on standard input")
    return found


def _line(number: int, line: str, width: int) -> Text:
    return _checked(_parts(number, line), width, f"line {number}", "write one input a line")


def _parts(number: int, line: str) -> Text:
    if not line.lstrip().startswith("["):
        return tuple(line.split("\t"))
    try:
        parts = json.loads(line)
    except ValueError:
        raise BadInput(
            f"line {number} begins with '[' and so is read as JSON, which it is not; write a text "
            f"that begins so as {json.dumps([line], ensure_ascii=False)}"
        ) from None
    if not all(isinstance(part, str) for part in parts):
        raise BadInput(f"line {number} has to be a JSON list of texts, not {line}")
    return tuple(parts)


def _checked(texts: Text, width: int, where: str, repair: str) -> Text:
    allowed = {1: "one text", 2: "a pair of texts"}.get(width, "one text or a pair")
    if len(texts) not in ({width} if width in (1, 2) else {1, 2}):
        found = "1 text" if len(texts) == 1 else f"{len(texts)} texts"
        raise BadInput(f"{where} gives {found}, and this model takes {allowed}; {repair}")
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            byte = ord(text[error.start]) & 0xFF
            raise BadInput(
                f"{where} is not UTF-8 (byte 0x{byte:02x}); convert it to UTF-8"
            ) from None
    return texts
