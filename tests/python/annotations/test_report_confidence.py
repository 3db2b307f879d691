from hypothesis import given
from hypothesis import strategies as st

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.report.confidence import MARGIN, WIDTH, draw_confidence


def found(values):
    return Annotations(
        tuple(
            Annotation(str(i), "ok", label="x", confidence=v, confidence_kind="stated")
            for i, v in enumerate(values)
        )
    )


@given(st.lists(st.none() | st.floats(0, 1), min_size=2, max_size=120))
def test_every_cluster_with_a_confidence_has_a_dot_of_its_own_inside_the_picture(values):
    known = [v for v in values if v is not None]
    picture = draw_confidence(found(values))
    if len(known) < 2:
        assert picture is None
        return
    assert len(picture.dots) == len({(d.x, d.y) for d in picture.dots}) == len(known)
    assert picture.without == len(values) - len(known)
    assert all(MARGIN <= d.x <= WIDTH - MARGIN for d in picture.dots)
    assert all(0 < d.y < picture.height for d in picture.dots)


def test_the_axis_goes_from_0_to_1_and_dots_name_their_cluster():
    picture = draw_confidence(found([0.1, 0.9]))
    assert [t for _, t in picture.ticks] == ["0", "0.25", "0.5", "0.75", "1"]
    assert picture.dots[0].title == "0: x, 0.10"
    assert picture.dots[0].x < picture.dots[1].x
