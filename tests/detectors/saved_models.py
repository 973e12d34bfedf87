"""SavedModels that find what is red and what is green, with the signatures of every family."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detray.detectors.runtime import tensorflow

SIDES = (64, 96)
"""Height and width of inputs that are fixed."""

Answer = Callable[[Any], Mapping[str, Any]]


def write(folder: Path, answer: Answer, shape: tuple[int | None, ...], dtype: str, name: str = "input_tensor") -> Path:
    """A model that answers tensors of this shape and type, with a variable so that it has to be restored."""
    tf, _ = tensorflow()

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = tf.Variable(1.0)

        @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape, getattr(tf, dtype), name=name)])
        def detect(self, pictures: Any) -> Any:
            found = answer(pictures)
            return {key: value * tf.cast(self.one, value.dtype) for key, value in found.items()}

    module = Module()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.detect})
    return folder


def colours(pixels: Any) -> tuple[Any, Any]:
    """Boxes ``[b, 2, 4]``, ymin, xmin, ymax, xmax in px, of what is red and green in float pixels of 0 to 255, and
    scores ``[b, 2]``, 0 where nothing is."""
    tf, _ = tensorflow()
    boxes, scores = [], []
    for channel, score in ((0, 0.9), (1, 0.8)):
        others = tf.reduce_max(tf.stack([pixels[..., other] for other in range(3) if other != channel]), axis=0)
        mask = pixels[..., channel] - others > 100
        lows, highs = [], []
        for axis in (2, 1):
            seen = tf.cast(tf.reduce_any(mask, axis=axis), tf.int32)
            lows.append(tf.argmax(seen, axis=1))
            highs.append(tf.shape(seen, tf.int64)[1] - tf.argmax(seen[:, ::-1], axis=1))
        boxes.append(tf.cast(tf.stack([*lows, *highs], axis=1), tf.float32))
        scores.append(score * tf.cast(tf.reduce_any(mask, axis=(1, 2)), tf.float32))
    return tf.stack(boxes, axis=1), tf.stack(scores, axis=1)


def size(pixels: Any) -> Any:
    """Height, width, height, width as float32."""
    tf, _ = tensorflow()
    return tf.cast(tf.tile(tf.shape(pixels)[1:3], [2]), tf.float32)


def api(pixels: Any) -> Mapping[str, Any]:
    """The Object Detection API's answer: best first, classes not quite whole, rows behind those that count."""
    tf, _ = tensorflow()
    boxes, scores = colours(tf.cast(pixels, tf.float32))
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    boxes, scores = (tf.gather(values, order, batch_dims=1) for values in (boxes / size(pixels), scores))
    count = tf.reduce_sum(tf.cast(scores > 0, tf.float32), axis=1)
    none = tf.cast(scores == 0, tf.float32)
    return {
        "detection_boxes": boxes,
        "detection_classes": tf.cast(order, tf.float32) + 1.0118,
        "detection_scores": scores + none * 0.99,  # of rows that do not count
        "num_detections": count,
    }


def api_of_texts(decode: Callable[[Any], Any]) -> Answer:
    """The same, of pictures that ``decode`` makes of a string."""

    def answer(texts: Any) -> Mapping[str, Any]:
        tf, _ = tensorflow()
        kinds = {key: tf.TensorSpec(None, tf.float32) for key in api(tf.zeros((1, 1, 1, 3)))}
        found = tf.map_fn(lambda text: api(decode(text)[None]), texts, fn_output_signature=kinds)
        shapes = {"detection_boxes": (-1, 2, 4), "num_detections": (-1,)}
        return {key: tf.reshape(values, shapes.get(key, (-1, 2))) for key, values in found.items()}

    return answer


def decode_picture(text: Any) -> Any:
    tf, _ = tensorflow()
    return tf.io.decode_image(text, channels=3, expand_animations=False)


def decode_example(text: Any) -> Any:
    tf, _ = tensorflow()
    parsed = tf.io.parse_single_example(text, {"image/encoded": tf.io.FixedLenFeature((), tf.string)})
    return decode_picture(parsed["image/encoded"])


def identities(pixels: Any) -> Mapping[str, Any]:
    """What TF.js makes of the API's eight outputs."""
    tf, _ = tensorflow()
    found = api(pixels)
    scores = tf.stack([found["detection_scores"]] * 3, axis=2)
    more = {
        "detection_anchor_indices": found["detection_scores"],
        "detection_multiclass_scores": scores,
        "raw_detection_boxes": tf.tile(found["detection_boxes"], [1, 5, 1]),
        "raw_detection_scores": tf.tile(scores, [1, 5, 1]),
    }
    ordered = [(found | more)[name] for name in sorted(found | more)]
    return {f"Identity_{number}" if number else "Identity": value for number, value in enumerate(ordered)}


def vision(*, normalised: bool = False, nms: bool = True) -> Answer:
    """official.vision's answer: each picture is resized to fit, and padded, by the model."""

    def answer(pixels: Any) -> Mapping[str, Any]:
        tf, _ = tensorflow()
        resized, info = _fitted(tf.cast(pixels, tf.float32))
        boxes, scores = colours(resized)
        if normalised:
            boxes = boxes / tf.tile(info[:, 2:3] * info[:, 0:1], [1, 1, 2])
        if not nms:
            return {
                "decoded_boxes": tf.concat([boxes, boxes + 0.5], axis=1),  # each twice: one of them goes
                "decoded_box_scores": tf.concat([tf.linalg.diag(scores), tf.linalg.diag(scores) / 2], axis=1),
                "image_info": info,
            }
        return {
            "detection_boxes": boxes,
            "detection_classes": _classes(scores) + 1,
            "detection_scores": scores,
            "num_detections": tf.zeros_like(tf.cast(scores[:, 0], tf.int32)) + 2,
            "image_info": info,
        }

    return answer


def _fitted(pixels: Any) -> tuple[Any, Any]:
    tf, _ = tensorflow()
    original, desired = size(pixels)[:2], tf.constant([96.0, 96.0])
    scaled = tf.maximum(tf.round(original * tf.reduce_min(desired / original)), 1)
    resized = tf.image.resize(pixels, tf.cast(scaled, tf.int32), method="nearest")
    resized = tf.image.pad_to_bounding_box(resized, 0, 0, 96, 96)
    info = tf.stack([original, desired, scaled / original, tf.zeros(2)])
    return resized, tf.tile(info[None], [tf.shape(pixels)[0], 1, 1])


def keras(pixels: Any) -> Mapping[str, Any]:
    """A Keras model's answer: named outputs, corners in px of the input, pixels of 0 to 1."""
    tf, _ = tensorflow()
    boxes, scores = colours(pixels * 255)
    return {
        "boxes": tf.gather(boxes, [1, 0, 3, 2], axis=2),
        "classes": tf.cast(_classes(scores), tf.int64),
        "confidence": scores,
        "num_detections": tf.zeros_like(tf.cast(scores[:, 0], tf.int32)) + 2,
    }


def keras_logits(pixels: Any) -> Mapping[str, Any]:
    """Centres and sizes as shares with a logit for each class, as D-FINE gives them."""
    tf, _ = tensorflow()
    boxes, scores = colours(pixels * 255)
    return {
        "pred_boxes": _centred(boxes / size(pixels)),
        "logits": 60.0 * (tf.linalg.diag(tf.cast(scores > 0, tf.float32)) - 0.8),
    }


def as_many(pixels: Any) -> Mapping[str, Any]:
    """As many rows as are found, in px of the picture: a number that no signature tells."""
    tf, _ = tensorflow()
    boxes, scores = colours(tf.cast(pixels, tf.float32))
    found = scores[0] > 0
    classes = tf.boolean_mask(_classes(scores)[0], found)
    return {
        "boxes": tf.boolean_mask(boxes[0], found)[None],
        "labels": classes[None],
        "scores": tf.boolean_mask(scores[0], found)[None],
    }


def ultralytics(pixels: Any) -> Mapping[str, Any]:
    """A column of centre, size and two scores for each of thirty anchors, in px of the input."""
    tf, _ = tensorflow()
    boxes, scores = colours(pixels * 255)
    rows = tf.concat([_centred(boxes), tf.linalg.diag(scores)], axis=2)
    worse = rows * [1, 1, 1, 1, 0.5, 0.5] + [1, 0, 0, 0, 0, 0]  # the same again, a pixel on
    return {"output_0": tf.pad(tf.transpose(tf.concat([rows, worse], axis=1), (0, 2, 1)), [[0, 0], [0, 0], [0, 26]])}


def ultralytics_ended(pixels: Any) -> Mapping[str, Any]:
    """Corners, score and class of each detection after suppression."""
    tf, _ = tensorflow()
    boxes, scores = colours(pixels * 255)
    classes = tf.cast(_classes(scores), tf.float32)
    return {"output_0": tf.concat([tf.gather(boxes, [1, 0, 3, 2], axis=2), scores[..., None], classes[..., None]], 2)}


def _classes(scores: Any) -> Any:
    tf, _ = tensorflow()
    return tf.zeros_like(tf.cast(scores, tf.int32)) + tf.constant([0, 1])


def _centred(boxes: Any) -> Any:
    tf, _ = tensorflow()
    low, high = boxes[..., 1::-1], boxes[..., :1:-1]
    return tf.concat([(low + high) / 2, high - low], axis=2)
