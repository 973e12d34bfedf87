"""What a person does who follows the first cause that a run names."""

from dataclasses import replace
from typing import Any

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.settings import parse_yaml
from planted.data import Data
from planted.plant import Case

Json = dict[str, Any]

REVIEWED = ("missing_labels", "wrong_labels", "noisy_boxes", "degenerate_ground_truth")
"""What a review of labels mends: its outcome are the true labels of the split that is blamed."""
RENAMED = ("absent_in_training",)
"""What is wrong with the training labels whoever is asked."""
LIMITS = {"score_threshold": "score_threshold", "max_detections": "max_detections"}
"""Causes that a setting of predict is at fault, which is left at its default then."""
LONGER = ("undertrained",)
DEFAULTS = {"train": TrainSettings(), "detector": DetectorSettings()}
TRAINING_WORDS = ("training labels", "training boxes", "training annotations", "labels of train")


def blames_training(row: Json) -> bool:
    """Whether a cause speaks of the labels of the split train: by its evidence, else by its words."""
    split = parse_yaml(row["evidence"], "evidence").get("split")
    return split == "train" if split else any(words in row["sentence"].lower() for words in TRAINING_WORDS)


def follow(row: Json, case: Case, data: Data) -> Case | None:
    """What becomes of ``case`` by the remedy of a row of ``diagnoses``; None where it says nothing that can be done.

    A review by hand restores the true labels of the split that the cause blames, and boxes that stand in the wrong
    pixels are read in the right ones. Of settings that a tuning would search, the training that comes of the first
    value that it did not have yet.
    """
    cause = row["cause"]
    if cause in REVIEWED + RENAMED:
        split = "train" if cause in RENAMED or blames_training(row) else "val"
        return replace(case, documents=case.documents | {split: data.documents[split]})
    if cause in LIMITS:
        return replace(case, predict={key: value for key, value in case.predict.items() if key != LIMITS[cause]})
    if cause == "box_format":
        return replace(case, picture="" if case.picture == "halved" else case.picture)
    if cause in LONGER:
        return replace(case, train=case.train | {"epochs": data.epochs})
    if row["remedy_config"] is None:
        return None
    config = parse_yaml(row["remedy_config"], "remedy_config")
    if "predict" in config:
        return replace(case, predict=case.predict | config["predict"])
    return _with_first(case, row["category_name"], config.get("tune", {}).get("space", {}))


def _with_first(case: Case, category: str, space: Json) -> Case | None:
    """The first setting of a search space with the first value that is not the case's own."""
    for key, values in space.items():
        section, name = key.split(".", 1) if key.startswith("detector.") else ("train", key)
        by_class = name in ("oversample", "undersample", "class_weights")
        usual = 1 if name.endswith("sample") else getattr(DEFAULTS[section], name.split(".")[0])
        own = getattr(case, section).get(name, usual)
        for value in values:
            if value == own or (isinstance(value, str) and value == "none"):
                continue
            new = {category: value} if by_class and isinstance(value, int | float) else value
            return replace(case, **{section: getattr(case, section) | {name: new}})
    return None
