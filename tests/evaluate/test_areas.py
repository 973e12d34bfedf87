"""Stated areas that are not those of the boxes do not pass without a word."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coco_oracle import as_coco, as_tables
from evaluation import shards_of

from detray.evaluate.flow import TABLES, evaluate
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import EvaluateSettings
from detray.flow.data import MemoryData
from detray.flow.memory import run_in_memory

SIDES = np.array([20.0, 60.0, 150.0])


def notes_of(areas: Callable[[np.ndarray], Any], masks: int | None = None, n_shards: int = 1, **settings: Any) -> str:
    """What is said of sizes where 40 small, 40 medium and 40 large boxes state these areas; ``masks`` as ingest has."""
    side = np.repeat(SIDES, 40)
    n = len(side)
    box = np.c_[np.zeros((n, 2)), side, side + 5]
    image = np.arange(n) % 20 + 1
    one = np.ones(n, np.int64)
    area = np.broadcast_to(areas(box[:, 2] * box[:, 3]), n).astype(float)
    truth = GroundTruth(image, one, box, area, np.zeros(n, bool))
    found = Detections(image, one, box, np.linspace(0.1, 0.9, n), np.arange(n))
    rows = as_tables(*as_coco(truth, found))
    manifests: dict[str, Any] = {"predict": {"facts": {"model": "a"}}}
    if masks is not None:
        manifests["ingest"] = {"facts": {"masks": {"val": masks}}}
    data = MemoryData(shards_of(rows, n_shards), manifests=manifests)
    chosen = EvaluateSettings(bootstrap=0, slices=(), **settings)
    said = run_in_memory(evaluate, data, "test", ["val"], chosen, tables=TABLES).outcome.notes
    return "\n".join(line for line in said if "another size" in line)


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        (lambda box: 1.0, "80 of 120 boxes are of another size by their area than by width times height (small, medium,"
         " large: 120, 0, 0 against 40, 40, 40), so APm and APl have no boxes"),
        (lambda box: 640 * 480, "(small, medium, large: 0, 0, 120 against 40, 40, 40), so APs and APm have no boxes"),
        (lambda box: np.where(box < 32**2, 2000, box), "40 of 120 boxes are of another size by their area than by width"
         " times height (small, medium, large: 0, 80, 40 against 40, 40, 40), so APs has no boxes"),
    ],
)  # fmt: skip
def test_what_a_wrong_area_does_is_said(areas: Callable[[np.ndarray], Any], expected: str, n_shards: int) -> None:
    line = notes_of(areas, n_shards=n_shards)
    assert line.startswith("val: ")
    assert expected in line


def some_moved(box: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(box)) % 5 == 0, 640.0 * 480, box)


def test_many_boxes_under_another_size_are_said_where_no_size_is_empty() -> None:
    line = notes_of(some_moved)
    assert "16 of 120 boxes" in line
    assert "no boxes" not in line


def test_half_a_box_is_the_area_of_a_mask_or_of_nothing() -> None:
    assert "so APl has no boxes" in notes_of(lambda box: 0.3 * box, masks=0)
    assert not notes_of(lambda box: 0.3 * box, masks=120)
    assert not notes_of(lambda box: 0.3 * box)


def test_right_areas_and_protocols_without_sizes_say_nothing() -> None:
    assert not notes_of(lambda box: box, masks=0)
    assert not notes_of(lambda box: 0.8 * box, masks=0)
    assert not notes_of(lambda box: 1.0, protocol="pascal")
