"""COCO's matching and average precision as arrays, without tables."""

from detray.evaluate.kernel.matching import (
    Detections,
    GroundTruth,
    Matches,
    beyond_cap,
    class_average_precision,
    match,
)

__all__ = ["Detections", "GroundTruth", "Matches", "beyond_cap", "class_average_precision", "match"]
