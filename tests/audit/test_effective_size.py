"""What effective-size advises lowers the share that it complains of, whichever way the boxes are off."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray import cli
from detray.audit.rules.class_.effective_size import Sizes, better_input
from detray.boxes import Reach
from detray.store import Store

SIZE = (800, 600)


def annotations(width: int, height: int) -> dict[str, object]:
    """Thirty pictures with one box each."""
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIZE[0], "height": SIZE[1]} for i in range(30)],
        "categories": [{"id": 1, "name": "kangaroo"}],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [10 + i, 5, width, height], "area": width * height}
            | {"iscrowd": 0}
            for i in range(30)
        ],
    }


def findings(folder: Path, *settings: str) -> list[dict[str, object]]:
    """The findings of effective-size for the split val, with some settings of a detector that is to be trained."""
    options = [part for setting in settings for part in ("--set", setting)]
    data = ["audit", str(folder / "gt.json"), "--train", str(folder / "train.json")]
    command = [*data, *options, "--serial", "--output", str(folder / "out")]
    assert cli.main(command) == 0
    return (
        Store(str(folder / "out"))
        .read("findings", filters=[("rule", "=", "effective-size"), ("split", "=", "val")])
        .to_pylist()
    )


@pytest.mark.parametrize(
    ("box", "told"),
    [((600, 560), "too large for the largest anchor"), ((14, 14), "too small for the smallest anchor")],
    ids=["large", "small"],
)
def test_the_input_that_is_advised_is_better(tmp_path: Path, box: tuple[int, int], told: str) -> None:
    for name in ("gt.json", "train.json"):
        (tmp_path / name).write_text(json.dumps(annotations(*box)))
    levels = "detector.top_level=5"
    inputs = ("detector.input_width=320", "detector.input_height=256", levels)
    (before,) = findings(tmp_path, *inputs)
    assert told in str(before["observed"])
    assert before["count"] == 30
    advised = re.findall(r"detector.input_(?:width|height) to \d+", str(before["fix"]))
    after = findings(tmp_path, levels, *(setting.replace(" to ", "=") for setting in advised))
    assert len(advised) == 2
    assert sum(int(str(finding["count"])) for finding in after) < 15


@given(
    st.lists(st.tuples(st.floats(4, 600), st.floats(4, 600), st.integers(1, 50)), min_size=1, max_size=8),
    st.sampled_from([(256, 192), (320, 320), (512, 384)]),
)
def test_no_input_is_advised_that_is_not_better(boxes: list[tuple[float, float, int]], size: tuple[int, int]) -> None:
    reach = Reach(*size, tuple((side, side) for side in (16.0, 32.0, 64.0, 101.0)))
    sizes = Sizes(np.array([box[:2] for box in boxes]), np.array([box[2] for box in boxes]))
    anchors = np.array(reach.anchors)
    share = sizes.share(sizes.unreached(anchors))
    found = better_input(sizes, reach)
    if found is not None:
        width, height, promised = found
        scaled = Sizes(sizes.sides * (width / size[0], height / size[1]), sizes.n)
        assert promised == scaled.share(scaled.unreached(anchors)) <= share / 2
