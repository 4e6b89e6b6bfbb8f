"""The privacy ledger."""

from mpiedge.report.ledger import ledger, rounds, traffic
from mpiedge.report.story import Rank, Sent, Story

SAYS = Rank(0, "desk", (), 1.0, 1, (Sent("loss", 3, 96), Sent("labels", 1200, 2048)), links={1: 9})
MUTE = Rank(1, "", (), 1.0, 1, ())
STORY = Story("a", "finished", {}, ranks=(SAYS, MUTE))


def test_the_largest_of_a_rank_comes_first_and_silence_is_said() -> None:
    assert [(row[0], *row[2:4]) for row in ledger(STORY).rows] == [
        ("0 (desk)", "1,200", "2 KiB"),
        ("0 (desk)", "3", "96 B"),
        ("1", "0", "0 B"),
    ]
    assert ledger(STORY).rows[0][4] == "the labels"
    assert ledger(STORY).rows[2][1] == "nothing"


def test_bytes_by_destination_or_in_all() -> None:
    assert traffic(STORY).rows == (("0", "1", "9 B"), ("1", "all others", "0 B"))


def test_rounds_are_a_sentence_where_there_were_any() -> None:
    told = Story("a", "", {}, facts={"rounds": {"measured_seconds": 3, "predicted_seconds": 2.5}})
    assert rounds(told) == ("A round took 3 s in the middle of all, and 2.5 s were predicted.",)
    assert rounds(STORY) == ()
    assert rounds(Story("a", "", {}, facts={"rounds": {}})) == ()
