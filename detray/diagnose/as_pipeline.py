"""The remedy of a cause as lines of the pipeline.config that the model is trained with."""

from collections.abc import Mapping, Sequence
from typing import Any

from detray.diagnose.causes.output.duplicates import Duplicates
from detray.diagnose.causes.output.max_detections import MaxDetections
from detray.diagnose.causes.output.score_threshold import ScoreThreshold
from detray.diagnose.causes.symptoms.localization import Localization
from detray.diagnose.causes.training_data.large_objects import LargeObjects
from detray.diagnose.causes.training_data.small_objects import SmallObjects
from detray.pipeline.read import PipelineFile
from detray.pipeline.remedies import remedy_lines

BY_CAUSE: Mapping[str, Mapping[str, Sequence[Any]]] = {
    ScoreThreshold.name: {"score_threshold": [1e-8]},
    MaxDetections.name: {"max_detections": [300]},
    Duplicates.name: {"nms_iou": [0.5]},
    SmallObjects.name: {"input_scale": [1.5, 2.0]},
    LargeObjects.name: {"top_level": [1]},
    Localization.name: {"input_scale": [1.5]},
}
"""What helps, beside the settings that tune searches, as `remedies.changes` takes it."""


def remedy_as_pipeline(
    file: PipelineFile, cause: str, class_name: str | None, config: Mapping[str, Any] | None
) -> str | None:
    """The lines, or None where the remedy is none of the configuration's.

    Args:
        file: a pipeline.config.
        cause: the cause's name.
        class_name: the class that it holds for.
        config: the fragment of detray's own configuration, if there is one.
    """
    space = dict(BY_CAUSE.get(cause, {}))
    for name, values in (config or {}).get("tune", {}).get("space", {}).items():
        if name.startswith("detector."):
            continue  # of detray's own network; what corresponds to it stands in `BY_CAUSE`
        space[name] = [{class_name: value} for value in values] if name == "oversample" else values
    return "\n".join(remedy_lines(file, space)) or None
