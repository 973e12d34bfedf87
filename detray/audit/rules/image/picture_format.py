"""TensorFlow's decoders refuse a picture, or read it in another shape.

Failure: training stops at the picture, or a decoder hands on four dimensions or channels where the model takes three.
The content decides, not the name: a WEBP called .jpg stays one.
Number: format and pixels of the file. An error where the Object Detection API's input reader stops at a picture that a
record holds, a warning where it would stop at a file, or other decoders refuse it or return other channels; 16 bits
are cut to 8. Only a note for CMYK, which is read as RGB without its colour profile.
Source: the decoders of TensorFlow 2.21; the reader decodes with tf.io.decode_jpeg or tf.io.decode_image to three
channels and states three dimensions (tf_slim/data/tfexample_decoder.py, Image).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from detray.audit.pictures import PictureView
from detray.audit.rule import ERROR, INFO, WARNING, Hits, Limits, PictureRule

_STOPS = "the Object Detection API's input reader stops"
_REFUSED = {
    "GIF": f"GIF: tf.io.decode_image gives it four dimensions, at which {_STOPS}; tf.io.decode_jpeg and decode_png"
    " refuse an animation",
    "WEBP": "WEBP: tf.io.decode_image, decode_jpeg and decode_png give it four dimensions or, before TensorFlow could"
    f" read it, refuse it; {_STOPS}",
    "TIFF": f"TIFF: tf.io.decode_image, decode_jpeg and decode_png refuse it; {_STOPS}",
    "PPM": f"PPM: tf.io.decode_image, decode_jpeg and decode_png refuse it; {_STOPS}",
}
_BITMAP = "BMP: tf.io.decode_jpeg and decode_png refuse it; tf.io.decode_image and the Object Detection API read it"
_BITS = "BMP of one bit: tf.io.decode_image, decode_jpeg and decode_png refuse it; " + _STOPS
_DEEP = "PNG of 16 bits: cut to 8 unless tf.io.decode_png is told dtype=tf.uint16"
_ALPHA = (
    "PNG with alpha: tf.io.decode_png and decode_image return {} channels unless they are told channels=3, as the"
    " Object Detection API tells them"
)
_CMYK = "CMYK: tf.io.decode_jpeg reads it as RGB without its colour profile"


def judge(format: str | None, mode: str | None) -> tuple[str, int] | None:
    """What TensorFlow does with a picture, and how bad that is where a record holds it; None where nothing is wrong."""
    mode = mode or ""
    if format == "BMP":
        return (_BITS, ERROR) if mode == "1" else (_BITMAP, WARNING)
    if format in _REFUSED:
        return _REFUSED[format], ERROR
    if format == "PNG" and mode.endswith(";16B"):
        return _DEEP, WARNING
    if format == "PNG" and mode in ("RGBA", "LA", "P+tRNS"):
        return _ALPHA.format(2 if mode == "LA" else 4), WARNING
    return (_CMYK, INFO) if mode == "CMYK" else None


def _check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    kinds = list(zip(*(view.stats[name].to_pylist() for name in ("format", "mode")), strict=True))
    known = {kind: judge(*kind) for kind in set(kinds)}
    found = [(row, *verdict) for row, kind in enumerate(kinds) if (verdict := known[kind]) is not None]
    rows = np.array([row for row, _, _ in found], np.int64)
    said = pa.array([text for _, text, _ in found], pa.string())
    severity = np.array([severity for _, _, severity in found], np.int8)
    severity = np.where(view.is_in_record[rows], severity, np.minimum(severity, WARNING)).astype(np.int8)
    return [Hits(rows, "images", observed=said, severity=severity, share=said)]


RULE = PictureRule(
    code="picture-format",
    family="image",
    severity=ERROR,
    scope="image",
    problem="not every decoder of TensorFlow takes its picture",
    expected="a JPEG or PNG of 8 bits, grey or RGB",
    fix="write the picture again as JPEG or PNG in RGB; another name does not change it",
    doc=__doc__,
    check=_check,
)
