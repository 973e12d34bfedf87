"""Which findings a corrected copy is offered for."""

import pytest

from detray.clean.requests import mended


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (["imbalance", "out-of-bounds", "swapped-corners"], ["out-of-bounds", "swapped-corners"]),
        (["near-duplicate-box", "duplicate-annotation-id"], []),  # what clean leaves alone, and does when it is asked
        (["coordinate-scale", "out-of-bounds"], []),  # which follows from it
    ],
)
def test_rules_whose_boxes_clean_mends_unasked(rules: list[str], named: list[str]) -> None:
    assert mended(rules) == named
