"""The decoder: whole pictures as a person sees them, and a reason for everything else."""

import io
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from detray import pictures
from detray.pictures import PictureError


def _scene(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture with a bright corner, so that turns show and JPEG changes little."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], axis=2)
    pixels[: height // 4, : width // 4] = 255
    return pixels.astype(np.uint8)


def _encode(kind: str, image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_pixels_come_back(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(_encode(kind, Image.fromarray(_scene())))
    np.testing.assert_array_equal(pictures.read_picture(str(path)), _scene())
    np.testing.assert_array_equal(pictures.read_picture(path.as_uri()), _scene())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[pictures.ORIENTATION_TAG] = orientation
    data = _encode("JPEG", Image.fromarray(_scene()), exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(pictures.decode(data), expected)
    header = pictures.inspect(data)
    assert (header.height, header.width) == expected.shape[:2]
    assert header.orientation == orientation


def test_luma_is_that_of_the_colours() -> None:
    data = _encode("JPEG", Image.fromarray(_scene()), quality=95)
    luma, header = pictures.decode_luma(data)
    assert luma.shape == (header.height, header.width) == (48, 64)
    expected = np.asarray(Image.fromarray(pictures.decode(data)).convert("L"))
    assert np.abs(luma.astype(int) - expected).mean() < 0.5  # they differ where colours are clipped at 255


@pytest.mark.parametrize(
    ("mode", "value"), [("L", 200), ("P", 7), ("RGBA", (10, 20, 30, 0)), ("1", 1), ("LA", (90, 3)), ("I;16", 40_000)]
)
def test_every_mode_becomes_rgb(mode: str, value: object) -> None:
    image = Image.new(mode, (5, 4), value)
    pixels = pictures.decode(_encode("PNG", image))
    assert pixels.shape == (4, 5, 3)
    assert pixels.dtype == np.uint8
    if mode == "I;16":
        assert pixels[0, 0].tolist() == [40_000 >> 8] * 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_picture_that_breaks_off_is_refused(kind: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    data = _encode(kind, Image.fromarray(noise))
    cut = data[: max(int(len(data) * kept), 30)]
    for read in (pictures.decode, pictures.decode_luma):
        with pytest.raises(PictureError) as caught:
            read(cut)
        assert caught.value.reason in {"truncated", "undecodable", "not_a_picture"}


def test_a_jpeg_without_its_last_two_bytes_is_truncated() -> None:
    data = _encode("JPEG", Image.fromarray(_scene()))
    with pytest.raises(PictureError, match="truncated"):
        pictures.decode(data[:-2])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(
    ("options", "written", "reason"),
    [
        ({}, b"\xff\x01", "byte .*: a marker 01"),
        ({"progressive": True}, b"\xff\x01", "a marker 01"),
        ({"restart_marker_blocks": 4}, b"\xff\x3a", "a marker 3a"),
        ({"restart_marker_blocks": 4}, b"\xff\xd5", "not in order"),
    ],
)
def test_a_jpeg_that_is_broken_in_the_middle_is_refused(options: dict, written: bytes, reason: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    data = bytearray(_encode("JPEG", Image.fromarray(noise), **options))
    pictures.decode(bytes(data))
    middle = len(data) // 2
    while 0xFF in data[middle - 1 : middle + 3]:
        middle += 1
    data[middle : middle + 2] = written
    for read in (pictures.decode, pictures.decode_luma):
        with pytest.raises(PictureError, match=reason):
            read(bytes(data))


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"restart_marker_blocks": 1}, {"comment": b"\xff\xda\xff\x01"}, {"quality": 100}]
)
def test_a_whole_jpeg_is_read_however_it_is_written(options: dict) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    data = _encode("JPEG", Image.fromarray(noise), **options)
    assert pictures.decode(data).shape == (96, 128, 3)
    assert pictures.decode(data + b"\xff\x01 behind its end").shape == (96, 128, 3)


def _declared(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds no pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 12_000, 60_000])
def test_declared_size_is_bounded_before_decoding(side: int) -> None:
    with pytest.raises(PictureError) as caught:
        pictures.inspect(_declared(side, side))
    assert caught.value.reason == "too_large"
    assert f"declares {side * side} pixels" in caught.value.detail


def test_a_smaller_bound_can_be_asked_for() -> None:
    with pytest.raises(PictureError, match="64 x 48"):
        pictures.decode(_encode("PNG", Image.fromarray(_scene())), max_pixels=3000)


def test_files_that_are_no_pictures_have_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"not a picture at all")
    (tmp_path / "big.jpg").write_bytes(b"x" * 100)
    reasons = {}
    for name in ("empty.jpg", "text.jpg", "nowhere.jpg", "text.jpg/below.jpg", "nul\0.jpg"):
        with pytest.raises(PictureError) as caught:
            pictures.read_picture(str(tmp_path / name))
        reasons[name] = caught.value.reason
    assert reasons == {
        "empty.jpg": "empty",
        "text.jpg": "not_a_picture",
        "nowhere.jpg": "missing",
        "text.jpg/below.jpg": "missing",
        "nul\0.jpg": "unreadable",
    }
    with pytest.raises(PictureError, match="too_large"):
        pictures.read_file(str(tmp_path / "big.jpg"), max_bytes=99)


def test_no_format_that_starts_another_program() -> None:
    with pytest.raises(PictureError, match="not_a_picture"):
        pictures.decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")


def test_the_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(PictureError("truncated", "30 bytes are missing")))  # noqa: S301 - our own
    assert (error.reason, error.detail, str(error)) == (
        "truncated",
        "30 bytes are missing",
        "truncated: 30 bytes are missing",
    )


def test_real_photographs_decode(shared: Path) -> None:
    paths = sorted((shared / "bccd" / "JPEGImages").glob("*.jpg"))[:5]
    assert paths
    for path in paths:
        assert pictures.read_picture(str(path)).shape == (480, 640, 3)
