"""strict_pycocotools gives pycocotools' own numbers, whatever the ids are."""

from typing import Any

import numpy as np
import pytest
from coco_oracle import as_coco, as_tables, evaluate, scenes
from evaluation import run_evaluation
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import EvaluateSettings

STRICT = EvaluateSettings(bootstrap=0, slices=(), strict_pycocotools=True)


def numbers(truth: dict[str, Any], found: list[dict[str, Any]], n_shards: int = 1) -> list[float]:
    values = run_evaluation(as_tables(truth, found), STRICT, n_shards=n_shards).tables["summary_metrics"]["value"]
    return [-1 if value is None else value for value in values.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from(["zeros", "restart", "random", "pairs"]), st.integers(1, 3), st.integers(0, 99))
def test_numbers_are_pycocotools_own_whatever_the_ids_are(
    drawn: tuple[GroundTruth, Detections], kind: str, n_shards: int, seed: int
) -> None:
    truth, found = as_coco(*drawn)
    rng = np.random.default_rng(seed)
    in_image: dict[int, int] = {}
    for place, note in enumerate(truth["annotations"]):
        in_image[note["image_id"]] = in_image.get(note["image_id"], 0) + 1
        ids = {
            "zeros": 0,
            "restart": in_image[note["image_id"]],
            "random": int(rng.integers(0, 6)),
            "pairs": place // 2,
        }
        note["id"] = ids[kind]
    order = rng.permutation(len(truth["annotations"]))  # the last one is the last of the file, not of the image
    truth["annotations"] = [truth["annotations"][place] for place in order]
    assert numbers(truth, found, n_shards) == evaluate(truth, found).stats.tolist()


@pytest.mark.parametrize("n_shards", [1, 2])
def test_the_last_of_an_id_counts_for_all_even_where_it_is_of_an_unknown_image(n_shards: int) -> None:
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 1, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0}
            for number, image in ((1, 1), (2, 2), (1, 9), (3, 1))
        ],
    }
    found = [{"image_id": image, "category_id": 1, "bbox": [0, 0, 40, 40], "score": 0.5} for image in (1, 2)]
    assert numbers(truth, found, n_shards) == evaluate(truth, found).stats.tolist()
