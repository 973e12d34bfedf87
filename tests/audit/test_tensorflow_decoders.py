"""What the rule picture-format says of TensorFlow's decoders is what they do."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from detray import pictures
from detray.audit.rule import ERROR, INFO
from detray.audit.rules.image.picture_format import judge

PIXELS = np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)


def _encode(format: str, mode: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, format, **options)
    return stream.getvalue()


def _deep(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()


ANIMATION = {"save_all": True, "append_images": [Image.fromarray(PIXELS[::-1]).convert("P")]}
CASES: dict[str, bytes] = {
    **{f"JPEG {mode}": _encode("JPEG", mode) for mode in ("RGB", "L", "CMYK")},
    **{f"PNG {mode}": _encode("PNG", mode) for mode in ("RGB", "L", "P", "1", "RGBA", "LA")},
    "PNG P+tRNS": _encode("PNG", "P", transparency=0),
    "PNG RGB, one colour of it clear": _encode("PNG", "RGB", transparency=(1, 2, 3)),
    "PNG L, one value of it clear": _encode("PNG", "L", transparency=7),
    "PNG RGB;16B": _deep(PIXELS),
    "PNG I;16B": _deep(PIXELS[:, :, 0]),
    "GIF P": _encode("GIF", "P"),
    "GIF P, an animation": _encode("GIF", "P", **ANIMATION),
    **{f"BMP {mode}": _encode("BMP", mode) for mode in ("RGB", "L", "P", "1")},
    **{f"{name} RGB": _encode(name, "RGB") for name in ("WEBP", "TIFF", "PPM")},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_verdicts_are_what_the_decoders_do(name: str) -> None:
    import tensorflow as tf

    data = CASES[name]
    header = pictures.inspect(data)
    assert f"{header.format} {header.mode}" == name.partition(",")[0]

    def shape(decode: Any, **options: Any) -> tuple[int, ...] | None:
        try:
            return tuple(decode(data, **options).shape)
        except tf.errors.InvalidArgumentError:
            return None

    jpeg, png, image = (shape(decode) for decode in (tf.io.decode_jpeg, tf.io.decode_png, tf.io.decode_image))
    reader = shape(tf.io.decode_jpeg if tf.io.is_jpeg(data) else tf.io.decode_image, channels=3)
    said, severity = judge(header.format, header.mode) or ("", INFO)
    assert (severity == ERROR) == (reader is None or len(reader) != 3), reader
    assert ("decode_image, decode_jpeg and decode_png refuse" in said) == (jpeg is png is image is None)
    if "four dimensions" in said:
        assert image is not None
        assert len(image) == 4
    if " channels unless" in said:
        assert f"return {png[2]} channels" in said  # type: ignore[index]
        assert png == image
        assert png[2] in (2, 4)  # type: ignore[index]
    elif image is not None and len(image) == 3:
        assert image[2] in (1, 3)
    if header.format == "BMP":
        assert jpeg is png is None
    if "16 bits" in said:
        deep = tf.io.decode_png(data, dtype=tf.uint16)
        assert (tf.io.decode_png(data).numpy() == deep.numpy() >> 8).all()
    if not said:
        assert jpeg == png == image
