"""What is read in a short way is what the long way gives: plain objects, heads of pictures, files that are no links."""

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detray import pictures
from detray.files import Inside
from detray.formats.picture_size import picture_size, size_of_found
from detray.formats.source import Source
from detray.formats.voc.plain import PlainObjects
from detray.formats.voc.reader import Voc
from detray.formats.yolo import plain
from detray.picture_head import size_of_jpeg, size_of_png

OBJECT = """
  <object><name>{name}</name> <pose>Left</pose><truncated>{flag}</truncated><difficult>{flag}</difficult>
    <bndbox><xmin>{x}</xmin><ymin>007</ymin><xmax>{right}</xmax><ymax>-3.25</ymax></bndbox></object>"""
PIECES = ["<object>", "</object>", "<object/>", "<!--", "-->", "<![CDATA[", "]]>", "<?x", "?>", "&amp;", "é", "\x01",
          " ", "<part><name>h</name></part>", "<a/>", "-", "_", "nan", "<!DOCTYPE a>", "<name>", "\r\n"]  # fmt: skip


def document(rng: random.Random) -> str:
    objects = (
        OBJECT.format(name=rng.choice(["cat", " a b "]), flag=rng.choice("01"), x=rng.randrange(9), right=rng.random())
        for _ in range(rng.randrange(4))
    )
    return f"<annotation><filename>a.jpg</filename>{''.join(objects)}<segmented>0</segmented></annotation>"


def changed(text: str, rng: random.Random) -> str:
    for _ in range(rng.randrange(3)):
        at = rng.choice([place for place, letter in enumerate(text) if letter in "<>"])
        text = text[: at + 1] + rng.choice(["", *PIECES]) + text[at + rng.choice([0, 1, 1, 2, 9]) :]
    return text


def test_plain_objects_are_read_as_any_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    for number in range(400):
        (tmp_path / f"{number:03d}.xml").write_text(changed(document(rng), rng))
    source = Source("val", "voc", (str(tmp_path),), str(tmp_path))
    plan = Voc().plan(source)
    found = Voc().read(source, plan)
    monkeypatch.setattr(PlainObjects, "take", lambda *_: None)
    expected = Voc().read(source, plan)
    assert found.quarantine.num_rows > 50
    assert found.annotations.num_rows > 200
    for name in ("images", "annotations", "categories", "quarantine"):
        assert getattr(found, name).to_pylist() == getattr(expected, name).to_pylist()


def test_most_objects_are_plain_and_leave_a_mark() -> None:
    text = "<annotation>" + 2 * OBJECT.format(name="cat", flag=0, x=1, right=2) + "</annotation>"
    found = PlainObjects()
    left, objects = found.take(text.encode(), 2) or (b"", [])
    assert left.split() == [b"<annotation>", b"<object/></annotation>"]
    assert objects[1][1:] == (b"cat", b"Left", b"0", b"0", b"1", b"007", b"2", b"-3.25")
    assert found.take(text.encode(), 1) is None
    assert found.take(text.replace("</pose>", "<a/></pose>").encode(), 2) is None


def encoded(mode: str, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (31, 17)).save(file, kind, **options)
    return file.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[pictures.ORIENTATION_TAG] = 6
    return exif


def test_lines_with_single_spaces_are_read_as_any_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    lines = [f"{rng.integers(3)} " + " ".join(f"{side:.4g}" for side in rng.random(4)) for _ in range(300)]
    lines[7], lines[10], lines[13] = "1 0.5 0.5 1e999 0.5", "-1 0.5 0.5 0.1 0.1", "1 .5 5. 1E-1 +0.2"
    texts = ["\n".join(lines[at : at + 3]).encode() + b"\n" * (at % 3) for at in range(0, 300, 3)]
    sizes = [(64, 48)] * len(texts)
    words = plain._words
    monkeypatch.setattr(plain, "_words", None)  # the short way is taken
    found = plain.read_plain(texts, sizes)
    monkeypatch.setattr(plain, "_words", words)
    monkeypatch.setattr(plain, "_single_spaced", lambda *_: None)
    expected = plain.read_plain(texts, sizes)
    assert found.is_plain.sum() == 98
    for name in ("is_plain", "file", "row", "index", "box"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


HEADS = [
    *(encoded(mode, "JPEG", progressive=mode == "L", comment=b"here") for mode in ("L", "RGB", "CMYK")),
    *(encoded(mode, "PNG", dpi=(72, 72)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
]


def test_the_size_of_a_head_is_that_of_the_picture() -> None:
    rng = random.Random(0)
    judged = 0
    for data in (*HEADS, encoded("RGB", "JPEG", exif=turned()), encoded("L", "PNG", exif=turned())):
        for number in range(150):
            mutated = bytearray(data)
            for _ in range(min(number, rng.randrange(1, 4))):
                at = rng.randrange(min(rng.choice([40, len(data)]), len(mutated)))
                mutated[at : at + rng.randrange(2)] = rng.choice(
                    [b"", b"\0", b"\xff", b"eXIf", bytes([rng.randrange(256)])]
                )
            size = size_of_png(bytes(mutated)) or size_of_jpeg(bytes(mutated))
            if size is not None:
                judged += 1
                header = pictures.inspect(bytes(mutated))
                assert size == (header.width, header.height)
    assert judged > 200
    assert all(size_of_png(data) or size_of_jpeg(data) for data in HEADS)


def test_what_is_no_file_of_its_folder_is_left_to_the_long_way(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root, elsewhere):
        folder.mkdir()
        (folder / "a.png").write_bytes(HEADS[3])
    (root / "link.png").symlink_to(root / "a.png")
    (root / "out").symlink_to(elsewhere)
    os.mkfifo(root / "pipe.png")
    inside = Inside((str(root),))
    assert inside.read(f"{root}/a.png", 8) == HEADS[3][:8]
    assert inside.read(f"{root}/a.png", 1 << 20) == HEADS[3]
    assert size_of_found(f"{root}/a.png", inside) == picture_size(f"{root}/a.png") == (31, 17)
    others = ("link.png", "out/a.png", "pipe.png", "../elsewhere/a.png", "out/../a.png", "none.png", "a\0.png", ".", "")
    assert [inside.read(f"{root}/{name}", 8) for name in others] == [None] * len(others)
