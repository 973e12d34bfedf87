"""Trials of the planted-cause suite: a scene, its plants, and what the diagnosis says."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import scenes
from in_memory import Aps, Tables, class_aps, diagnoses
from scenes import World

from detray import schema
from detray.diagnose.evidence.split import HIGH_CUT
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.weak import weak_classes

GEOMETRIES = ("uniform", "shapes", "coco", "visdrone")
GLOBAL = {"score_threshold", "label_id_mismatch", "image_id_mismatch", "box_format", "max_detections"}
"""Plants that may break every class."""


CLASSES_NEEDED = {"class_confusion": 2, "receives_class": 2, "class_imbalance": 4, "wrong_labels": 4}
"""Classes of a scene in which a plant makes sense; 1 where not stated."""


@dataclass(frozen=True)
class Trial:
    """One diagnosed scene: ``found`` has the causes of every diagnosed class, by rank."""

    world: World
    category: int
    plants: tuple[str, ...]
    found: dict[int, list[str]]
    weak: frozenset[int]
    """Classes that are weak or have no AP."""

    has_high_cut: bool = False
    """The detector writes no scores below .2: that too may be said of any class."""

    @property
    def causes(self) -> list[str]:
        """What is said of the class in which something is planted."""
        return self.causes_of(self.category)

    def causes_of(self, category: int) -> list[str]:
        """What is said of a class, by rank, beside what is true without a plant."""
        causes = self.found.get(category, [])
        is_extra = self.has_high_cut and "score_threshold" not in self.plants
        return [cause for cause in causes if not (is_extra and cause == "score_threshold")]


def make_world(rng: np.random.Generator, geometry: str, shared: Path | None) -> World:
    """A scene's boxes; ``shared`` holds the real data that two geometries are drawn from."""
    n_images = int(rng.choice([40, 80, 200]))
    n_classes = int(rng.choice([1, 2, 3, 6, 12, 30, 80]))
    per_image = float(rng.choice([2, 7, 7, 20]))
    if geometry == "coco" and shared is not None:
        file = next((shared / "coco_val2014_100").glob("*instances*.json"))
        return scenes.from_coco(rng, file, n_images, int(rng.choice([5, 10, 20])))
    if geometry == "visdrone" and shared is not None:
        file = next((shared / "visdrone50").glob("*.json"))
        return scenes.split_classes(rng, scenes.from_coco(rng, file, n_images // 4, 5), int(rng.choice([6, 10])))
    if geometry == "shapes":
        return scenes.shapes(rng, n_images, min(n_classes, 6))
    return scenes.uniform(rng, n_images, n_classes, per_image)


def run_trial(
    seed: int, plants: Sequence[str], geometry: str, shared: Path | None, settings: DiagnoseSettings | None = None
) -> Trial | None:
    """Plant the causes in one class that works and diagnose the scene; None where no class has enough boxes."""
    rng = np.random.default_rng([seed, GEOMETRIES.index(geometry)])
    world = make_world(rng, geometry, shared)
    quality = scenes.random_quality(rng)
    if LOWERING & set(plants):
        quality = replace(quality, lowest=min(quality.lowest, 0.05))
    scenes.detect(rng, world, quality)
    scenes.complete(rng, world, quality, scenes.given_for(rng, tuple(plants)))
    settings = settings or DiagnoseSettings()
    weak = weak_classes(class_aps(scenes.tables_of(world)), world.names, settings)
    enough = [
        k
        for k in world.names
        if ((world.gt_class == k) & ~world.gt_crowd).sum() >= (60 if "missing_labels" in plants else 20)
        and (world.dt_class == k).sum() >= 15
        and k not in weak
    ]
    if not enough or len(world.names) < max(CLASSES_NEEDED.get(name, 1) for name in plants):
        return None
    category = int(rng.choice(enough))
    if "class_imbalance" in plants and np.median(np.unique(world.gt_class, return_counts=True)[1]) < 30:
        return None
    scenes.plant_all(rng, world, tuple(plants), category)
    scenes.write_scores(world, quality)
    tables = scenes.tables_of(world)
    aps = class_aps(tables)
    found, weak = _by_class(_diagnosed(world, tables, settings, aps)), weak_classes(aps, world.names, settings)
    return Trial(world, category, tuple(plants), found, frozenset(weak), quality.lowest >= HIGH_CUT)


def is_weak(trial: Trial) -> bool:
    """Whether the plants made the class weak: a healthy class gets no diagnosis."""
    return trial.category in trial.weak


def is_visible(trial: Trial) -> bool:
    """Whether plants that do not take all detections away have left some to see them by."""
    return bool(WITHOUT_DETECTIONS & set(trial.plants)) or trial.world.n_left >= 5


def said_of_others(trial: Trial, *, are_weak: bool) -> list[str]:
    """For each class with boxes that nothing was planted in and that is weak, or works: ``none``, or the
    first cause that is named of it, beside what is true without a plant."""
    with_boxes = set(trial.world.gt_class[~trial.world.gt_crowd].tolist())
    others = [k for k in sorted(with_boxes) if k != trial.category and (k in trial.weak) == are_weak]
    return [next(iter(trial.causes_of(k)), "none") for k in others]


MAPPING = {"image_id_mismatch", "label_id_mismatch", "box_format"}
WITHOUT_DETECTIONS = {"no_detections", "absent_in_training"}
ABOUT_DETECTIONS = {
    "receives_class",
    "localization",
    "duplicates",
    "missing_labels",
    "bad_ranking",
    "background_confusion",
    "score_threshold",
    "max_detections",
    "wrong_labels",
    "noisy_boxes",
    "small_objects",
    "large_objects",
    "class_imbalance",
    "missed_objects",
    "class_confusion",
    "overfit",
    "forgetting",
    "train_eval_shift",
    "undertrained",
}
LOWERING = {"bad_ranking", "class_imbalance", "max_detections"}
"""Plants that lower scores, of which a high minimum score would leave nothing."""
LOSING = {
    "missed_objects",
    "small_objects",
    "large_objects",
    "overfit",
    "undertrained",
    "forgetting",
    "train_eval_shift",
    "class_imbalance",
    "score_threshold",
    "max_detections",
}
"""Plants that take detections away: two of them leave one thing to see, that boxes are missed."""


def compatible_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of causes that can both be seen in one class."""
    found = []
    for first, second in itertools.combinations(names, 2):
        pair = {first, second}
        unseen = WITHOUT_DETECTIONS & pair and (pair - WITHOUT_DETECTIONS) & (ABOUT_DETECTIONS | MAPPING)
        alike = {"missing_labels"} & pair and {"bad_ranking", "background_confusion", "class_imbalance"} & pair
        if unseen or alike or pair <= LOSING or pair <= WITHOUT_DETECTIONS or len(pair & MAPPING) == 2:
            continue
        found.append((first, second))
    return found


def diagnose(world: World, settings: DiagnoseSettings) -> dict[int, list[str]]:
    """The causes of every diagnosed class, by rank."""
    return _by_class(diagnosed(world, settings))


def diagnosed(world: World, settings: DiagnoseSettings) -> pa.Table:
    """The table diagnoses of a world, with all that it has beside ground truth and detections."""
    return _diagnosed(world, scenes.tables_of(world), settings, None)


def _by_class(rows: pa.Table) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for category, cause in zip(rows["category_id"].to_pylist(), rows["cause"].to_pylist(), strict=True):
        found.setdefault(category, []).append(cause)
    return found


def _diagnosed(world: World, tables: Tables, settings: DiagnoseSettings, aps: Aps | None) -> pa.Table:
    return diagnoses(
        tables,
        settings,
        aps=aps,
        train=scenes.tables_of(world.train, "train") if world.train is not None else None,
        base=scenes.tables_of(world.base)["predictions"] if world.base is not None else None,
        findings=findings_of(world),
    )


def findings_of(world: World) -> pa.Table:
    """Findings of the audit, as many as the world counts."""
    keys = [key for key, n in world.findings.items() for _ in range(n)]
    rows = [
        {
            "finding_id": str(place),
            "rule": rule,
            "family": "geometry",
            "severity": 1,
            "severity_name": "suspect",
            "scope": "annotation",
            "split": "val",
            "category_id": category,
            "message": "a box",
            "fix": "look",
        }
        for place, (category, rule) in enumerate(keys)
    ]
    return schema.from_rows("findings", rows, run=scenes.RUN)
