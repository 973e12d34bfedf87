"""Figures of other evaluators are read from what they leave."""

import struct
from pathlib import Path

import pytest

from detray.errors import DetrayError
from detray.formats.figures import read_figures
from detray.formats.tfrecord.records import checksum


def test_results_are_read_from_what_an_evaluator_printed(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.241\n"
        " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.512\n"
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.300\n"
        "INFO:tensorflow:\t+ PascalBoxes_PerformanceByCategory/AP@0.5IOU/traffic light: 0.125000\n"
        "I0101 eval.py] \t+ DetectionBoxes_Recall/AR@100 (small): 0.250000\n"
        "INFO:tensorflow:Saving dict: DetectionBoxes_Precision/mAP@.75IOU = 0.2, Loss/total = 1.5\n"
    )
    assert read_figures(str(tmp_path / "log.txt")) == {
        "AP": 0.241,
        "AP50": 0.512,
        "ARl": 0.3,
        "AP50/traffic light": 0.125,
        "ARs": 0.25,
        "AP75": 0.2,
    }


def event(tag: str, value: bytes) -> bytes:
    """A record of an Event whose Summary has one Value with this tag."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    data = field(5, field(1, field(1, tag.encode()) + value))
    header = struct.pack("<Q", len(data))
    return header + struct.pack("<I", checksum(header)) + data + struct.pack("<I", checksum(data))


def simple(value: float) -> bytes:
    return bytes([2 << 3 | 5]) + struct.pack("<f", value)


def tensor(value: float) -> bytes:
    data = bytes([1 << 3, 1, 4 << 3 | 2, 4]) + struct.pack("<f", value)
    return bytes([8 << 3 | 2, len(data)]) + data


def test_of_each_tag_of_an_event_file_the_last_value_counts(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(
        event("DetectionBoxes_Precision/mAP", simple(0.25))
        + event("Loss/total_loss", simple(0.5))
        + event("DetectionBoxes_Precision/mAP", simple(0.5))
        + event("DetectionBoxes_Precision/mAP@.50IOU", tensor(0.75))
        + b"a writer that is still at it"
    )
    assert read_figures(str(path)) == {"AP": 0.5, "AP50": 0.75}


@pytest.mark.slow
def test_event_files_that_tensorflow_writes(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        tf.summary.write("DetectionBoxes_Precision/mAP", tf.constant(0.25), step=1)
        tf.summary.write("DetectionBoxes_Precision/mAP", tf.constant(0.5), step=2)
        tf.summary.write("DetectionBoxes_Recall/AR@10", tf.constant(0.75), step=2)
    (path,) = tmp_path.iterdir()
    assert read_figures(str(path)) == {"AP": 0.5, "AR10": 0.75}


@pytest.mark.parametrize("content", [b"", b"Loss: 0.3", b"\0" * 64, event("Loss", simple(0.5))])
def test_what_holds_no_figure_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DetrayError, match="holds no figure of an evaluator"):
        read_figures(str(tmp_path / "a"))
