"""Scores of all classes at once equal those of each alone, with and without images."""

import numpy as np
import pyarrow as pa

from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision
from detray.evaluate.scores import ImageGroups, class_scores

CLASS_IDS = [2, 5, 9]


def scene(seed: int) -> tuple[GroundTruth, pa.Table]:
    random = np.random.default_rng(seed)
    n, m = 120, 300
    truth = GroundTruth(
        random.integers(0, 30, n) * 7,
        random.choice(CLASS_IDS[:2], n),  # the last class has no ground truth
        random.uniform(5, 60, (n, 4)),
        random.uniform(100, 3000, n),
        random.random(n) < 0.1,
    )
    near = random.integers(0, n, m)
    boxes = truth.box[near] + random.normal(0, 3, (m, 4))
    boxes[:, 2:] = np.abs(boxes[:, 2:]) + 1
    columns = dict(zip(("x", "y", "width", "height"), boxes.T, strict=True))
    return truth, pa.table(
        {
            "image_id": truth.image[near],
            "category_id": np.where(random.random(m) < 0.8, truth.category[near], random.choice(CLASS_IDS, m)),
            **columns,
            "score": random.random(m),
            "rank": np.arange(1, m + 1, dtype=np.int32),
        }
    )


def alone(truth: GroundTruth, detections: pa.Table, category: int, without: np.ndarray) -> np.ndarray:
    kept = (truth.category == category) & ~np.isin(truth.image, without)
    image, label = detections["image_id"].to_numpy(), detections["category_id"].to_numpy()
    rows = (label == category) & ~np.isin(image, without)
    boxes = np.stack([detections[side].to_numpy() for side in ("x", "y", "width", "height")], axis=1)
    return class_average_precision(
        GroundTruth(truth.image[kept], truth.category[kept], truth.box[kept], truth.area[kept], truth.crowd[kept]),
        Detections(
            image[rows],
            label[rows],
            boxes[rows],
            detections["score"].to_numpy()[rows],
            detections["rank"].to_numpy()[rows].astype(np.int64),
        ),
    )


def test_equal_to_one_class_at_a_time() -> None:
    truth, detections = scene(0)
    groups = ImageGroups(np.arange(30) * 7, 6)
    scores = class_scores(truth, detections, CLASS_IDS, groups)
    for place, category in enumerate(CLASS_IDS):
        np.testing.assert_array_equal(scores.ap[place], alone(truth, detections, category, np.array([])))
        for group in range(groups.number):
            without = groups.images[groups.of(groups.images) == group]
            expected = alone(truth, detections, category, without).mean()
            np.testing.assert_allclose(scores.left_out[group, place], expected, rtol=1e-14)
    assert np.isnan(scores.ap[2]).all()


def test_no_detections() -> None:
    truth, detections = scene(1)
    scores = class_scores(truth, detections.slice(0, 0), CLASS_IDS)
    assert scores.ap[:2].tolist() == [[0.0] * 10] * 2
    assert scores.left_out.shape == (0, 3)


def test_groups_are_neighbours_of_about_one_size() -> None:
    groups = ImageGroups(np.arange(100, 147), 20)
    found = groups.of(groups.images)
    assert (np.diff(found) >= 0).all()
    assert set(np.bincount(found)) == {2, 3}
