"""A RetinaNet as a SavedModel with the signature of the TF2 Object Detection API's exports."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detray.detectors.retinanet.decode import make_box_decoder, suppressed
from detray.detectors.runtime import tensorflow

if TYPE_CHECKING:
    from detray.detectors.retinanet.model import RetinaNet

FOLDER = "saved_model"
LABEL_MAP = "label_map.pbtxt"
MOST_IDS = 2_000
"""Raw scores have a column for each id up to the highest, as the API's have."""


def saved_model(model: "RetinaNet") -> dict[str, bytes]:
    """The files of a SavedModel, and its label map beside it, by their path in the model's folder.

    Its signature ``serving_default`` takes ``input_tensor``, uint8 ``[1, height, width, 3]`` of any size, and gives
    float32 ``detection_boxes`` ``[1, m, 4]`` (ymin, xmin, ymax, xmax as shares of the picture, best first),
    ``detection_classes`` and ``detection_scores`` ``[1, m]``, ``num_detections`` ``[1]``; and before suppression
    ``raw_detection_boxes`` ``[1, a, 4]`` and ``raw_detection_scores`` ``[1, a, k + 1]``, whose column is the class's
    id, 0 for the background. Class ids are the model's own where these are from 1 to `MOST_IDS`, else places from 1.

    Source: exporter_lib_v2.py of the Object Detection API.
    """
    tf, _ = tensorflow()
    ids = list(model.classes)
    if not all(1 <= number <= MOST_IDS for number in ids):
        ids = list(range(1, len(ids) + 1))
    module = tf.Module()
    module.network = model.network
    module.serve = _served(model, ids)
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, signatures={"serving_default": module.serve})
        files = {
            f"{FOLDER}/{path.relative_to(place).as_posix()}": path.read_bytes()
            for path in sorted(Path(place).rglob("*"))
            if path.is_file()
        }
    return files | {LABEL_MAP: _label_map(dict(zip(ids, model.classes.values(), strict=True)))}


def _served(model: "RetinaNet", ids: list[int]) -> Any:
    """The traced function of the signature."""
    tf, _ = tensorflow()
    size = (model.settings.input_height, model.settings.input_width)
    decode = make_box_decoder(model.settings)
    last = max(ids) + 1

    def resized(picture: Any) -> Any:
        """As `inputs.Stretch` does it, to within a level of rounding."""
        shape = tf.shape(picture)
        found = tf.cond(
            tf.logical_and(shape[1] >= size[0], shape[2] >= size[1]),
            lambda: tf.image.resize(picture, size, "area"),
            lambda: tf.image.resize(picture, size, "bilinear"),
        )
        return tf.cast(tf.round(found), tf.uint8)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8, "input_tensor")])
    def serve(input_tensor: Any) -> Any:
        outputs = model.network(resized(input_tensor), training=False)
        raw, scores = decode(outputs["boxes"]), tf.sigmoid(outputs["logits"])
        boxes, best, classes, counts = suppressed(raw, scores, model.predict)
        columns = tf.one_hot(ids, last)  # of each class, the column of its id
        return {
            "detection_boxes": boxes,
            "detection_scores": best,
            "detection_classes": tf.cast(tf.gather(ids, classes), tf.float32),
            "num_detections": tf.cast(counts, tf.float32),
            "raw_detection_boxes": raw,
            "raw_detection_scores": tf.einsum("bac,cd->bad", scores, columns),
        }

    return serve


def _label_map(names: dict[int, str]) -> bytes:
    items = [f"item {{\n  id: {k}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n" for k, name in names.items()]
    return "".join(items).encode()
