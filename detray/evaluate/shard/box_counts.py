"""What evaluators treat differently: flags of boxes, and areas that are not width times height."""

import json

import msgspec
import pyarrow as pa
import pyarrow.compute as pc


class BoxCounts(msgspec.Struct, frozen=True):
    """How many boxes there are, and how many of them are ...

    Attributes:
        crowd, difficult: flagged so.
        ignored: marked ``ignore`` among their attributes, where these are read.
        off_area: boxes whose area is not width times height.
    """

    n: int = 0
    crowd: int = 0
    difficult: int = 0
    ignored: int = 0
    off_area: int = 0

    @staticmethod
    def total(parts: "list[BoxCounts]") -> "BoxCounts":
        """The sums."""
        columns = zip(*(msgspec.structs.astuple(part) for part in parts), strict=True)
        return BoxCounts(*(sum(column) for column in columns))


def count_boxes(annotations: pa.Table) -> BoxCounts:
    """The counts of a shard."""
    texts = annotations["attributes"].to_pylist() if "attributes" in annotations.column_names else []
    area, sides = annotations["area"], pc.multiply(annotations["width"], annotations["height"])
    slack = pc.add(1.0, pc.multiply(0.01, pc.abs(sides)))
    return BoxCounts(
        annotations.num_rows,
        _number(annotations["is_crowd"]),
        _number(annotations["is_difficult"]),
        sum(is_ignored(text) for text in texts),
        _number(pc.greater(pc.abs(pc.subtract(area, sides)), slack)),
    )


def _number(flags: pa.ChunkedArray) -> int:
    return pc.sum(flags).as_py() or 0


def is_ignored(attributes: str | None) -> bool:
    """Whether a box is marked ``ignore``, which pycocotools overwrites."""
    return bool(attributes and '"ignore"' in attributes and json.loads(attributes).get("ignore") in (1, True))
