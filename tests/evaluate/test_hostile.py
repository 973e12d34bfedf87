"""Input that nobody means well with: no crash, no warning, no row that vanishes uncounted."""

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from coco_oracle import as_coco, as_tables
from evaluation import evaluate_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from detray import schema
from detray.errors import UsageError
from detray.evaluate.flow import TABLES
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import EvaluateSettings

NUMBERS = st.sampled_from([0.0, -1.0, 1e-320, 1e308, -1e308, 10.0, 20.0, None])
IDS = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), None])
SETTINGS = EvaluateSettings(bootstrap=3, slices=("size", "aspect", "width", "annotator", "annotations.pose"))


@st.composite
def hostile(draw: st.DrawFn) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table]:
    """Tables that conform to their schemas and hold whatever that allows."""

    def box() -> dict[str, float | None]:
        return {side: draw(NUMBERS) for side in ("x", "y", "width", "height")}

    images = [
        {"split": "val", "image_id": number, "width": draw(st.sampled_from([0, -5, 640, None]))}
        for number in draw(st.lists(IDS, min_size=1, max_size=4))
    ]
    annotations = [
        {"split": "val", "annotation_id": draw(IDS), "image_id": draw(IDS), "category_id": draw(IDS)}
        | box()
        | {"area": draw(NUMBERS), "is_crowd": draw(st.booleans()), "is_difficult": draw(st.booleans())}
        | {"attributes": draw(st.sampled_from([None, "{}", '{"pose": "left"}', '{"pose": [1]}']))}
        for _ in range(draw(st.integers(0, 8)))
    ]
    categories = [
        {"split": "val", "category_id": number, "category_name": draw(st.sampled_from(["a", "a", None]))}
        | {"source": "annotations"}
        for number in draw(st.lists(IDS.filter(lambda value: value is not None), max_size=3))
    ]
    predictions = [
        {"split": "val", "model": "a", "category_id": draw(IDS.filter(lambda value: value is not None))}
        | {"image_id": draw(st.sampled_from([entry["image_id"] or 0 for entry in images]))}
        | box()
        | {"score": draw(st.sampled_from([0.5, -3.0, 1e308, float("inf"), 0.5])), "rank": draw(st.integers(0, 3))}
        for _ in range(draw(st.integers(0, 8)))
    ]
    known = {entry["image_id"] for entry in images}
    if not any(entry["image_id"] in known for entry in predictions):
        predictions = []  # that no detection names a known image is an error of its own
    rows = (images, annotations, categories, predictions)
    names = ("images", "annotations", "categories", "predictions")
    return tuple(schema.from_rows(name, part, run="t") for name, part in zip(names, rows, strict=True))


@settings(max_examples=60, deadline=None)
@given(hostile())
def test_whatever_the_schemas_allow_is_evaluated(tables: tuple[pa.Table, ...]) -> None:
    try:
        result = evaluate_tables(*tables, SETTINGS)
    except UsageError:  # no annotation has a pose, or all are lists
        result = evaluate_tables(*tables, msgspec.structs.replace(SETTINGS, slices=SETTINGS.slices[:-1]))
    for name in TABLES:
        schema.conform(result[name], name)
    for column in ("ap", "ap50", "ar100", "best_f1", "voc_ap50_area"):
        values = result["class_metrics"][column].drop_null().to_numpy()
        assert ((values >= 0) & (values <= 1)).all(), column


def test_the_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    n, m = 30, 80
    box = np.c_[rng.integers(0, 40, (n, 2)), rng.integers(8, 60, (n, 2))].astype(float)
    gt = GroundTruth(rng.integers(0, 4, n), rng.integers(1, 4, n), box, box[:, 2] * box[:, 3], rng.random(n) < 0.1)
    found = box[rng.integers(0, n, m)] + rng.normal(0, 3, (m, 4))
    dt = Detections(rng.integers(0, 4, m), rng.integers(1, 4, m), found, rng.random(m), np.arange(m))
    images, annotations, categories, predictions = as_tables(*as_coco(gt, dt))
    expected = evaluate_tables(images, annotations, categories, predictions, EvaluateSettings(bootstrap=4))
    shuffled = evaluate_tables(
        images.take(rng.permutation(len(images))),
        annotations.take(rng.permutation(n)),
        categories.take(rng.permutation(len(categories))),
        predictions.take(rng.permutation(m)),
        EvaluateSettings(bootstrap=4),
    )
    for name in ("matches", "class_metrics", "errors", "image_metrics", "slices", "confusion"):
        keys = [field.name for field in expected[name].schema]
        ours, theirs = (
            part[name].combine_chunks().sort_by([(key, "ascending") for key in keys]) for part in (shuffled, expected)
        )
        assert ours.equals(theirs), name


def test_input_is_not_changed() -> None:
    box = np.array([[0.0, 0, 10, 10]])
    one = np.array([1])
    gt = GroundTruth(one, one, box, np.array([100.0]), np.array([False]))
    tables = as_tables(*as_coco(gt, Detections(one, one, box, np.array([0.5]), one)))
    copies = [pa.Table.from_pylist(table.to_pylist(), table.schema) for table in tables]
    evaluate_tables(*tables, EvaluateSettings(bootstrap=2))
    assert all(table.equals(copy) for table, copy in zip(tables, copies, strict=True))
    assert pc.sum(tables[3]["score"]).as_py() == 0.5
