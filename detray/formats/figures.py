"""Figures of other evaluators, from what they leave: TensorBoard's event files, or text that they printed.

Event files are TFRecords of tensorflow.Event (tensorflow/core/util/event.proto); of each tag the value of the last step
counts. Text is that of ``COCOeval.summarize`` (pycocotools), or lines of ``tag: value`` or ``tag = value`` as
TensorFlow's evaluators and Estimators log them.
"""

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from detray.errors import DetrayError
from detray.files import open_file
from detray.formats.tfrecord.records import is_record_file, map_file, records, spans
from detray.mirror import here

MAX_BYTES, MAX_EVENTS = 1 << 26, 100_000
_FLOAT = 1
"""DT_FLOAT of a TensorProto."""
_TAGS = (
    (r"DetectionBoxes_Precision/mAP", "AP"),
    (r"DetectionBoxes_Precision/mAP@\.50IOU", "AP50"),
    (r"DetectionBoxes_Precision/mAP@\.75IOU", "AP75"),
    (r"DetectionBoxes_Precision/mAP \(small\)", "APs"),
    (r"DetectionBoxes_Precision/mAP \(medium\)", "APm"),
    (r"DetectionBoxes_Precision/mAP \(large\)", "APl"),
    (r"DetectionBoxes_Recall/AR@1", "AR1"),
    (r"DetectionBoxes_Recall/AR@10", "AR10"),
    (r"DetectionBoxes_Recall/AR@100", "AR100"),
    (r"DetectionBoxes_Recall/AR@100 \(small\)", "ARs"),
    (r"DetectionBoxes_Recall/AR@100 \(medium\)", "ARm"),
    (r"DetectionBoxes_Recall/AR@100 \(large\)", "ARl"),
    (r"(?:PascalBoxes|OpenImages\w+)_Precision/mAP@0\.5IOU", "AP50"),
    (
        r"(?:PascalBoxes|OpenImages\w+)_PerformanceByCategory/AP@0\.5IOU/(?P<name>.+)",
        "AP50",
    ),
    (r"DetectionBoxes_PerformanceByCategory/mAP/(?P<name>.+)", "AP"),
)
_NUMBER = r"(?P<value>-?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)"
_LINE = re.compile(rf"(?P<tag>[A-Za-z0-9]+_[A-Za-z]+/[^:=]+?)\s*[:=]\s*{_NUMBER}(?=\s|,|$)", re.IGNORECASE)
_COCO = re.compile(
    r"Average (?P<kind>Precision|Recall)\s+\(A[PR]\)\s+@\[\s*IoU=(?P<iou>[0-9.:]+)\s*\|\s*area=\s*(?P<area>\w+)\s*\|"
    rf"\s*maxDets=\s*(?P<cap>[0-9]+)\s*\]\s*=\s*{_NUMBER}"
)
_WHOLE = "0.50:0.95"


def read_figures(path: str) -> dict[str, float]:
    """The figures of a file by the name of the number: AP, AP50, AP/person ...; those below 0 say that there is none.

    Raises:
        DetrayError: it cannot be read, or holds no figure.
    """
    path = here(path)
    try:
        if is_record_file(Path(path)):
            found = dict(_of_events(path))
        else:
            with open_file(path) as file:
                found = dict(_of_text(file.read(MAX_BYTES).decode("utf-8", "replace")))
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror}); check evaluate.expect_file") from None
    found = {name: value for name, value in found.items() if 0 <= value <= 1}
    if not found:
        raise DetrayError(
            f"{path}: holds no figure of an evaluator; give TensorBoard's event file, or the text that pycocotools"
            " or TensorFlow's evaluator printed"
        )
    return found


def _of_events(path: str) -> Iterator[tuple[str, float]]:
    """Of each tag the last value comes last, and stays."""
    from google.protobuf.message import DecodeError

    content = map_file(path)
    whole = (records(content, span.start, span.end) for span in spans(content, MAX_BYTES, MAX_EVENTS))
    for _, data in chain.from_iterable(whole):
        try:
            event = _event().FromString(data or b"")
        except DecodeError:
            continue
        for value in event.summary.value:
            name, number = _named(value.tag), _number(value)
            if name is not None and number is not None:
                yield name, number


def _number(value: Any) -> float | None:
    """The scalar of TF1's summaries, or of TF2's."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.tensor.dtype != _FLOAT:
        return None
    if len(value.tensor.tensor_content) == 4:
        return float(struct.unpack("<f", value.tensor.tensor_content)[0])
    return float(value.tensor.float_val[0]) if len(value.tensor.float_val) == 1 else None


def _of_text(text: str) -> Iterator[tuple[str, float]]:
    for match in _COCO.finditer(text):
        if (name := _coco_name(match)) is not None:
            yield name, float(match["value"])
    for match in _LINE.finditer(text):
        if (name := _named(match["tag"])) is not None:
            yield name, float(match["value"])


def _coco_name(match: re.Match[str]) -> str | None:
    size = "" if match["area"] == "all" else match["area"][0]
    if match["kind"] == "Recall":
        return f"AR{size or match['cap']}"
    if match["iou"] == _WHOLE:
        return f"AP{size}"
    return {"0.50": "AP50", "0.75": "AP75"}.get(match["iou"])


def _named(tag: str) -> str | None:
    """What a tag of TensorFlow's evaluators is called here, with the class if it is about one."""
    plain = re.sub(r"^.*?(?=(?:DetectionBoxes|PascalBoxes|OpenImages))", "", tag.strip())
    for pattern, name in _TAGS:
        if match := re.fullmatch(pattern, plain):
            return f"{name}/{match['name']}" if "name" in match.groupdict() else name
    return None


@lru_cache(maxsize=1)
def _event() -> Any:
    """The class of tensorflow.Event, with the fields that scalars need."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    file = FileDescriptorProto(name="event.proto", package="detray.event", syntax="proto2")
    fields: dict[str, list[tuple[str, int, Any, bool]]] = {
        "Tensor": [
            ("dtype", 1, Field.TYPE_INT32, False),
            ("tensor_content", 4, Field.TYPE_BYTES, False),
            ("float_val", 5, Field.TYPE_FLOAT, True),
        ],
        "Value": [
            ("tag", 1, Field.TYPE_STRING, False),
            ("simple_value", 2, Field.TYPE_FLOAT, False),
            ("tensor", 8, "Tensor", False),
        ],
        "Summary": [("value", 1, "Value", True)],
        "Event": [("step", 2, Field.TYPE_INT64, False), ("summary", 5, "Summary", False)],
    }
    for message, members in fields.items():
        own = file.message_type.add(name=message)
        for name, number, kind, repeated in members:
            label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
            inner = {"type": Field.TYPE_MESSAGE, "type_name": f".detray.event.{kind}"}
            own.field.add(name=name, number=number, label=label, **(inner if kind in fields else {"type": kind}))
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("detray.event.Event"))
