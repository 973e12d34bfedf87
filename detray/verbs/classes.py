"""What a configuration states of class ids."""

from dataclasses import replace

from detray.flow.data import Data
from detray.formats.label_map import stated_classes
from detray.formats.resolve import stated_path
from detray.meaning.settle import Stated
from detray.verbs.config import Config


def stated(config: Config) -> Stated:
    """What ``predict.category_map`` and ``dataset.label_map`` state of the class ids of detections."""
    dataset = config.dataset
    map_of_data = dataset.label_map and stated_path(dataset.label_map, dataset.root, "dataset.label_map")
    return replace(stated_classes(config.predict.category_map, map_of_data), class_base=config.detector.io.class_base)


def settled_ids(data: Data) -> dict[str, dict[int, int]]:
    """By split the data's class ids by those that the detector of ``predict`` writes, where they are not the same."""
    facts = (data.manifest("predict") or {}).get("facts", {})
    settled = facts.get("class_ids", {}).items()
    return {split: {int(k): meant for k, meant in found["ids"].items()} for split, found in settled}
