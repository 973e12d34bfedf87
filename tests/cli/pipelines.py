"""Data sets as the TF2 Object Detection API takes them: records, a label map and a pipeline.config."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from samples import record

from detray.formats.tfrecord.example import message

CONFIG = (Path(__file__).parents[1] / "pipeline" / "ssd.config").read_text()
IDS = {"RBC": 1, "WBC": 2, "Platelets": 3}


def write_label_map(place: Path, ids: dict[str, int] = IDS) -> Path:
    """A label map of these ids."""
    place.write_text("".join(f"item {{\n  id: {number}\n  name: '{name}'\n}}\n" for name, number in ids.items()))
    return place


def example(name: str, size: tuple[int, int], boxes: Sequence[tuple[str, Sequence[float]]], data: bytes = b"") -> bytes:
    """A record of one picture; boxes are a class's name and corners in px."""
    made = message("Example")()
    feature = {
        "image/filename": [name.encode()],
        "image/source_id": [name.encode()],
        "image/width": [size[0]],
        "image/height": [size[1]],
        "image/object/class/text": [one.encode() for one, _ in boxes],
        "image/object/class/label": [IDS[one] for one, _ in boxes],
        **({"image/encoded": [data]} if data else {}),
    }
    for side, (axis, place) in {"xmin": (0, 0), "ymin": (1, 1), "xmax": (0, 2), "ymax": (1, 3)}.items():
        feature[f"image/object/bbox/{side}"] = [corners[place] / size[axis] for _, corners in boxes]
    for key, values in feature.items():
        entry = made.features.feature.add(key=key.encode())
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(values[0])]
        getattr(entry.value, kind).value.extend(values)
    return record(made.SerializeToString())


def bccd_records(folder: Path, split: str) -> Iterator[bytes]:
    """The records of a split of BCCD, with their pictures."""
    for name in (folder / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
        root = ET.parse(folder / "Annotations" / f"{name}.xml").getroot()  # noqa: S314 - a data set of the project
        size = int(root.findtext("size/width", "")), int(root.findtext("size/height", ""))
        sides = ("xmin", "ymin", "xmax", "ymax")
        boxes = [
            (one.findtext("name", ""), [float(one.findtext(f"bndbox/{side}", "")) for side in sides])
            for one in root.findall("object")
        ]
        yield example(f"{name}.jpg", size, boxes, (folder / "JPEGImages" / f"{name}.jpg").read_bytes())
