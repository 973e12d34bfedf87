"""Values as text."""

import pytest
from markupsafe import Markup

from detray.report import plots, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("Ärger 😀 文字", "Ärger 😀 文字"),
        ("a\u202eb", "a[U+202E]b"),
        ("a\x00b\x7f", "a[U+0000]b[U+007F]"),
        ("\ud800", "[U+D800]"),
        ("two\nlines", "two\nlines"),
        (3, 3),
        (None, None),
        (Markup("<b>\u202e</b>"), Markup("<b>\u202e</b>")),
    ],
)
def test_visible(value: object, shown: object) -> None:
    assert text.visible(value) == shown
    assert type(text.visible(value)) is type(shown)


def test_numbers() -> None:
    assert [text.number(None), text.number(0.41249), text.number(0.5, 2)] == ["–", "0.412", "0.50"]
    assert [text.signed(None), text.signed(0.0734), text.signed(-0.02)] == ["–", "+0.073", "−0.020"]
    assert [text.count(None), text.count(12345)] == ["–", "12,345"]
    assert [text.percent(None), text.percent(0.414)] == ["–", "41%"]
    assert [text.compact(v) for v in (None, True, 1234, 0.123456, "a")] == ["–", True, "1,234", "0.1235", "a"]
    times = [text.duration(seconds) for seconds in (None, 0.84, 42.4, 185, 7800)]
    assert times == ["–", "0.8 s", "42 s", "3 min 5 s", "2 h 10 min"]


def test_plots() -> None:
    assert plots.polyline([0, 0.5, 1], [1, None, 0]) == "0,0 100,100"
    axis = plots.symmetric([-0.2, None, 0.1], least=0.05)
    assert axis.at(0) == 50
    assert 0 < axis.at(-0.2) < 10
    assert plots.covering([None]).high > 0
    assert plots.Axis(2, 2).at(2) == 50
