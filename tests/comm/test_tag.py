from mpiedge.comm.tag import Kind, Tag


def test_a_tag_reads_as_what_it_names() -> None:
    assert str(Tag(Kind.ACTIVATION, 3, 1)) == "activation of micro-batch 3 entering stage 1"
    assert f"{Tag(Kind.WEIGHTS, 7)}" == "weights, number 7"


def test_every_kind_can_be_named() -> None:
    assert len({str(Tag(kind, 1, 2)) for kind in Kind}) == len(Kind)


def test_tags_are_told_apart_by_all_they_say() -> None:
    tags = {Tag(kind, n, place) for kind in Kind for n in range(3) for place in range(3)}
    assert len(tags) == 9 * len(Kind)
