"""What the terminal says at the end of a diagnosis."""

import msgspec

from detray.diagnose.steps.classes import Shown
from detray.diagnose.summary import AT_MOST, summary


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


def test_what_is_regained_at_most_stands_apart_and_is_said_not_to_be_known() -> None:
    ceiling = msgspec.structs.replace(shown("cup", "train_eval_shift", 0.5, ap=0.1), is_ceiling=True)
    known = msgspec.structs.replace(shown("jar", "label_id_mismatch", 0.3, ap=0.2), is_ceiling=False)
    table, lines, step = summary("val", [ceiling, known])
    assert table.columns[-2:] == ("AP regained", "at most")
    assert [row[-2:] for row in table.rows] == [[None, 0.5], [0.3, None]]
    assert lines[-1] == AT_MOST
    assert step == "for cup, which it may help most: Mend cup."
    assert AT_MOST not in summary("val", [known])[1]


def test_what_was_measured_unasked_comes_first_only_by_what_it_regains() -> None:
    measured = msgspec.structs.replace(shown("cup", "score_threshold", 0.1, ap=0.1), counter_test="confirmed")
    rows = [measured, shown("jar", "label_id_mismatch", 0.3, ap=0.2)]
    firsts = [summary("val", rows, promotes=promotes)[2] for promotes in (True, False)]
    assert firsts == ["for cup, which it helps most: Mend cup.", "for jar, which it helps most: Mend jar."]


def test_where_all_lack_boxes_that_is_what_to_mend() -> None:
    _, _, step = summary("val", [shown("a", "no_ground_truth"), shown("b", "no_ground_truth")])
    assert step == "for 2 classes: Mend a."


def test_a_single_class_without_a_box_keeps_its_sentence() -> None:
    _, lines, step = summary("val", [shown("a", "no_ground_truth")])
    assert lines[0] == "a, 1: `a` has no_ground_truth."
    assert step == "for a: Mend a."
