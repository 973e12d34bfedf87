"""What a person does in each tool, done to the file that `detray review` wrote, and saved as the tool saves it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import parse

Row = dict[str, Any]
Box = tuple[float, float, float, float]


class Person(Protocol):
    """One who has opened an export. Boxes are named by what stands about them: see `find`."""

    def boxes(self) -> list[Row]:
        """Of each: key, picture (its name), label, box (px), suspect (words), suggested."""
        ...

    def say(self, key: Any, word: str) -> None: ...

    def delete(self, key: Any) -> None: ...

    def move(self, key: Any, box: Box) -> None: ...

    def relabel(self, key: Any, label: str) -> None: ...

    def add(self, picture: str, label: str, box: Box) -> None: ...

    def save(self, path: Path) -> str: ...


def find(person: Person, **wanted: Any) -> list[Any]:
    """The keys of the boxes whose values are those wanted; of ``suspect`` the beginning."""

    def fits(row: Row) -> bool:
        told = wanted.get("suspect")
        others = {name: value for name, value in wanted.items() if name != "suspect"}
        if told is not None and not row["suspect"].startswith(told):
            return False
        return all(row[name] == value for name, value in others.items())

    return [row["key"] for row in person.boxes() if fits(row)]


class CocoPerson:
    def __init__(self, folder: Path, split: str = "val") -> None:
        self.data = json.loads((folder / f"{split}.json").read_text())
        self.names = {row["id"]: row["name"] for row in self.data["categories"]}
        self.pictures = {row["id"]: row["file_name"] for row in self.data["images"]}

    def boxes(self) -> list[Row]:
        return [
            {
                "key": row["id"],
                "picture": Path(self.pictures[row["image_id"]]).name,
                "label": self.names[row["category_id"]],
                "box": tuple(row["bbox"]),
                "suspect": row["attributes"].get("suspect", ""),
                "suggested": row["attributes"].get("suggestion", False),
            }
            for row in self.data["annotations"]
        ]

    def _row(self, key: Any) -> Row:
        return next(row for row in self.data["annotations"] if row["id"] == key)

    def say(self, key: Any, word: str) -> None:
        self._row(key)["attributes"]["decision"] = word

    def delete(self, key: Any) -> None:
        self.data["annotations"].remove(self._row(key))

    def move(self, key: Any, box: Box) -> None:
        self._row(key)["bbox"] = list(box)

    def relabel(self, key: Any, label: str) -> None:
        self._row(key)["category_id"] = next(n for n, name in self.names.items() if name == label)

    def add(self, picture: str, label: str, box: Box) -> None:
        number = next(n for n, name in self.pictures.items() if Path(name).name == picture)
        category = next((n for n, name in self.names.items() if name == label), None)
        if category is None:
            category = max(self.names) + 1
            self.names[category] = label
            self.data["categories"].append({"id": category, "name": label})
        new = {"id": 10**6 + len(self.data["annotations"]), "image_id": number, "category_id": category}
        self.data["annotations"].append(new | {"bbox": list(box), "area": box[2] * box[3], "iscrowd": 0})

    def save(self, path: Path) -> str:
        path.write_text(json.dumps(self.data))
        return str(path)


class CvatPerson:
    def __init__(self, folder: Path, split: str = "val") -> None:
        self.root = parse(folder / f"{split}.xml").getroot()
        known = {name.text for name in self.root.iterfind("./meta/task/labels/label/name")}
        assert {box.get("label") for box in self.root.iter("box")} <= known, "boxes of other labels are dropped"

    def _each(self) -> Iterator[tuple[ET.Element, ET.Element, Row]]:
        for image in self.root.iter("image"):
            for box in image.iter("box"):
                yield image, box, {one.get("name"): one.text or "" for one in box.iter("attribute")}

    def boxes(self) -> list[Row]:
        rows = []
        for image, box, attributes in self._each():
            left, top, right, bottom = (float(box.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr"))
            rows.append(
                {
                    "key": attributes["detray"],
                    "picture": Path(image.get("name", "")).name,
                    "label": box.get("label"),
                    "box": (left, top, right - left, bottom - top),
                    "suspect": attributes["suspect"],
                    "suggested": box.get("source") == "auto",
                }
            )
        return rows

    def _box(self, key: Any) -> tuple[ET.Element, ET.Element]:
        return next((image, box) for image, box, attributes in self._each() if attributes.get("detray") == key)

    def say(self, key: Any, word: str) -> None:
        next(one for one in self._box(key)[1].iter("attribute") if one.get("name") == "decision").text = word

    def delete(self, key: Any) -> None:
        image, box = self._box(key)
        image.remove(box)

    def move(self, key: Any, box: Box) -> None:
        self._place(self._box(key)[1], box)

    def _place(self, element: ET.Element, box: Box) -> None:
        corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
        for name, value in zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True):
            element.set(name, f"{value:.2f}")

    def relabel(self, key: Any, label: str) -> None:
        self._box(key)[1].set("label", label)

    def add(self, picture: str, label: str, box: Box) -> None:
        image = next(one for one in self.root.iter("image") if Path(one.get("name", "")).name == picture)
        new = ET.SubElement(image, "box", {"label": label, "source": "manual", "occluded": "0"})
        self._place(new, box)
        for name, value in (("decision", "open"), ("suspect", ""), ("detray", "")):  # as CVAT fills in its defaults
            ET.SubElement(new, "attribute", {"name": name}).text = value

    def save(self, path: Path) -> str:
        """CVAT rounds corners to .01 px, and sorts attributes as it likes."""
        for _, box, _ in self._each():
            for side in ("xtl", "ytl", "xbr", "ybr"):
                box.set(side, f"{float(box.get(side, '')):.2f}")
            box[:] = sorted(box, key=lambda one: one.get("name") or "")
        ET.ElementTree(self.root).write(path, "utf-8", xml_declaration=True)
        return str(path)


class FiftyOnePerson:
    FIELDS = ("ground_truth", "suggestions")

    def __init__(self, folder: Path) -> None:
        self.data = json.loads((folder / "samples.json").read_text())

    def _each(self) -> Iterator[tuple[Row, list[Row], Row]]:
        for sample in self.data["samples"]:
            for field in self.FIELDS:
                own = sample[field]["detections"]
                for label in own:
                    yield sample, own, label

    def boxes(self) -> list[Row]:
        return [
            {
                "key": label["_id"]["$oid"],
                "picture": Path(sample["filepath"]).name,
                "label": label["label"],
                "box": _scaled(label["bounding_box"], _size(sample)),
                "suspect": label["suspect"],
                "suggested": label in sample["suggestions"]["detections"],
            }
            for sample, _, label in self._each()
        ]

    def _label(self, key: Any) -> tuple[Row, list[Row], Row]:
        return next(found for found in self._each() if found[2]["_id"]["$oid"] == key)

    def say(self, key: Any, word: str) -> None:
        self._label(key)[2]["tags"].append(word)

    def delete(self, key: Any) -> None:
        _, own, label = self._label(key)
        own.remove(label)

    def move(self, key: Any, box: Box) -> None:
        sample, _, label = self._label(key)
        label["bounding_box"] = _shares(box, _size(sample))

    def relabel(self, key: Any, label: str) -> None:
        self._label(key)[2]["label"] = label

    def add(self, picture: str, label: str, box: Box) -> None:
        sample = next(one for one in self.data["samples"] if Path(one["filepath"]).name == picture)
        sample["ground_truth"]["detections"].append(
            {"_id": {"$oid": "6b0d67b583c02a281769f5aa"}, "_cls": "Detection", "tags": [], "label": label,
             "bounding_box": _shares(box, _size(sample))}
        )  # fmt: skip

    def save(self, path: Path) -> str:
        path.write_text(json.dumps(self.data))
        return str(path)


class LabelStudioPerson:
    """Opens each task, which makes an annotation of its prediction, and submits it."""

    def __init__(self, folder: Path) -> None:
        self.tasks = json.loads((folder / "tasks.json").read_text())
        known = {label.get("value") for label in parse(folder / "config.xml").iter("Label")}
        used = {label for row in self._predicted() for label in row["value"]["rectanglelabels"]}
        assert used <= known, "the import refuses predictions with labels that the configuration lacks"
        for number, task in enumerate(self.tasks, 1):
            (prediction,) = task.pop("predictions")
            results = [{name: value for name, value in row.items() if name != "score"} for row in prediction["result"]]
            task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "result": results}]}

    def _predicted(self) -> list[Row]:
        return [row for task in self.tasks for one in task["predictions"] for row in one["result"]]

    def _each(self) -> Iterator[tuple[Row, list[Row], Row]]:
        for task in self.tasks:
            own = task["annotations"][0]["result"]
            for region in own:
                yield task, own, region

    def boxes(self) -> list[Row]:
        return [
            {
                "key": region["id"],
                "picture": task["data"]["image"].rpartition("/")[2],
                "label": region["value"]["rectanglelabels"][0],
                "box": _scaled([region["value"][side] / 100 for side in SIDES], _stated(region)),
                "suspect": region.get("meta", {}).get("text", [""])[0],
                "suggested": region.get("meta", {}).get("text", [""])[0].startswith("suggested"),
            }
            for task, _, region in self._each()
            if region["type"] == "rectanglelabels"
        ]

    def _region(self, key: Any) -> tuple[list[Row], Row]:
        return next((own, region) for _, own, region in self._each() if region["id"] == key)

    def say(self, key: Any, word: str) -> None:
        own, region = self._region(key)
        value = {side: region["value"][side] for side in SIDES} | {"rotation": 0, "choices": [word]}
        own.append(region | {"type": "choices", "from_name": "decision", "value": value})

    def delete(self, key: Any) -> None:
        own, _ = self._region(key)
        own[:] = [other for other in own if other["id"] != key]

    def move(self, key: Any, box: Box) -> None:
        _, region = self._region(key)
        shares = _shares(box, _stated(region))
        region["value"] |= {side: 100 * share for side, share in zip(SIDES, shares, strict=True)}

    def relabel(self, key: Any, label: str) -> None:
        self._region(key)[1]["value"]["rectanglelabels"] = [label]

    def add(self, picture: str, label: str, box: Box) -> None:
        task = next(one for one in self.tasks if one["data"]["image"].rpartition("/")[2] == picture)
        own = task["annotations"][0]["result"]
        value = {side: 100 * share for side, share in zip(SIDES, _shares(box, (100, 80)), strict=True)}
        own.append(
            {"id": "bNvXq3", "type": "rectanglelabels", "from_name": "label", "to_name": "image", "original_width": 100,
             "original_height": 80, "value": value | {"rotation": 0, "rectanglelabels": [label]}}
        )  # fmt: skip

    def save(self, path: Path) -> str:
        path.write_text(json.dumps(self.tasks))
        return str(path)


SIDES = ("x", "y", "width", "height")


def _size(sample: Row) -> tuple[int, int]:
    return sample["metadata"]["width"], sample["metadata"]["height"]


def _stated(region: Row) -> tuple[int, int]:
    return region["original_width"], region["original_height"]


def _scaled(shares: list[float], size: tuple[int, int]) -> Box:
    x, y, width, height = shares
    return x * size[0], y * size[1], width * size[0], height * size[1]


def _shares(box: Box, size: tuple[int, int]) -> list[float]:
    return [side / size[place % 2] for place, side in enumerate(box)]


PEOPLE = {
    "fiftyone": FiftyOnePerson,
    "label-studio": LabelStudioPerson,
    "cvat": CvatPerson,
    "coco": CocoPerson,
}
