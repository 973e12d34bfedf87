"""What the terminal says at the end of a diagnosis."""

from detray.diagnose.steps.classes import Shown
from detray.diagnose.summary import summary


def shown(name: str, cause: str, d_ap: float | None = None, ap: float | None = None) -> Shown:
    return Shown(name, ap, ap, 1, cause, d_ap, f"`{name}` has {cause}.", f"Mend {name}.")


def test_classes_without_a_box_are_one_line_and_not_what_to_do_first() -> None:
    absent = [shown(f"absent{n}", "no_ground_truth") for n in range(74)]
    table, lines, step = summary("val", [*absent, shown("cup", "few_examples", ap=0.1)])
    assert [row[0] for row in table.rows] == ["cup", "74 classes"]
    assert len(lines) == 4
    assert "`absent0`" in lines[2]
    assert "and 66 more have no box" in lines[2]
    assert step == "for cup, which it helps most: Mend cup."


def test_where_all_lack_boxes_that_is_what_to_mend() -> None:
    _, _, step = summary("val", [shown("a", "no_ground_truth"), shown("b", "no_ground_truth")])
    assert step == "for 2 classes: Mend a."


def test_a_single_class_without_a_box_keeps_its_sentence() -> None:
    _, lines, step = summary("val", [shown("a", "no_ground_truth")])
    assert lines[0] == "a, 1: `a` has no_ground_truth."
    assert step == "for a: Mend a."
