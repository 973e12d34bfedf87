"""How often two configurations that are the same are told apart.

Simulated: each run of a detector finds each box with a probability of its own: that of the picture and the box, which
all runs share, and that of the run, which its seed draws. Detections are scored and proofs are judged by the shipped
functions.
``--real``: the same proof with trainings of the small network on tiny pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import ImageGroups, class_scores
from detray.tune.proof import GROUPS, Runs, prove

CLASSES = (1, 2, 3)
FOCUS = np.array([False, False, True])
SHARES = (0.6, 0.3, 0.1)
"""Of the boxes, by class: the rare one is the focus."""
MAX_DROP = 0.02


@dataclass(frozen=True)
class Scene:
    """Pictures that all runs are judged on, and how hard each box is."""

    truth: GroundTruth
    logits: np.ndarray

    @staticmethod
    def of(random: np.random.Generator, pictures: int, boxes: int) -> "Scene":
        n = pictures * boxes
        image = np.repeat(np.arange(pictures), boxes)
        corner, size = random.uniform(0, 400, (n, 2)), random.uniform(20, 100, (n, 2))
        hard = random.normal(0, 0.8, pictures)[image] + random.normal(0, 1.0, n)
        category = random.choice(CLASSES, n, p=SHARES).astype(np.int64)
        box = np.concatenate([corner, size], axis=1)
        truth = GroundTruth(image.astype(np.int64), category, box, size.prod(axis=1), np.zeros(n, bool))
        return Scene(truth, hard - np.where(category == CLASSES[-1], 0.5, 0.0))

    def detections(self, random: np.random.Generator, spread: float) -> pa.Table:
        """Those of one run, whose skill for each class is drawn with a deviation of ``spread`` (logits)."""
        truth = self.truth
        skill = random.normal(0, spread, len(CLASSES))[truth.category - 1]
        chance = 1 / (1 + np.exp(-(self.logits + skill + random.normal(0, 0.5, len(truth.image)))))
        hit = random.random(len(chance)) < chance
        box = truth.box[hit] + random.normal(0, 2.0, (hit.sum(), 4))
        image, category = truth.image[hit], truth.category[hit]
        score = np.clip(chance[hit] + random.normal(0, 0.1, hit.sum()), 0.01, 0.99)
        n = len(truth.image) // 2  # and boxes of nothing
        image = np.concatenate([image, random.choice(truth.image, n)])
        category = np.concatenate([category, random.choice(CLASSES, n, p=SHARES)])
        box = np.concatenate(
            [box, np.concatenate([random.uniform(0, 400, (n, 2)), random.uniform(20, 100, (n, 2))], 1)]
        )
        score = np.concatenate([score, random.beta(1, 3, n)])
        sides = dict(zip(("x", "y", "width", "height"), box.T, strict=True))
        rank = np.arange(1, len(score) + 1, dtype=np.int32)
        return pa.table({"image_id": image, "category_id": category, **sides, "score": score, "rank": rank})


def runs_of(scene: Scene, random: np.random.Generator, seeds: int, spread: float) -> Runs:
    """What a configuration comes to on some seeds."""
    images = np.unique(scene.truth.image)
    groups = ImageGroups(images, min(GROUPS, len(images)))
    found = [class_scores(scene.truth, scene.detections(random, spread), CLASSES, groups) for _ in range(seeds)]
    return Runs(
        np.stack([one.ap.mean(axis=1) for one in found]),
        np.stack([one.ap[:, 0] for one in found]),
        np.stack([one.left_out for one in found]),
    )


def simulated(proofs: int, *, pictures: int, boxes: int, seeds: int, spread: float, finalists: int) -> dict[str, Any]:
    """Proofs in which every finalist is the baseline: how many are wins, and how many gains but for the guard."""
    wins = gains = losses = 0
    widths, deltas = [], []
    for number in range(proofs):
        random = np.random.default_rng([number, pictures, seeds, finalists])
        scene = Scene.of(random, pictures, boxes)
        baseline = runs_of(scene, random, seeds, spread)
        found = [
            prove(baseline, runs_of(scene, random, seeds, spread), FOCUS, MAX_DROP, candidates=finalists)
            for _ in range(finalists)
        ]
        wins += any(one.is_win for one in found)
        gains += any(one.focus.low[0] > 0 for one in found)
        losses += any(one.focus.high[0] < 0 for one in found)
        widths.append(float((found[0].focus.high - found[0].focus.low)[0]))
        deltas.append(float(found[0].focus.delta[0]))
    return {
        "wins": wins,
        "gains": gains,
        "losses": losses,
        "width": float(np.mean(widths)),
        "spread": float(np.std(deltas)),
    }


def report(proofs: int, tell: Callable[[str], None]) -> None:
    """The table of docs/performance.md."""
    tell(f"| pictures, boxes each | spread of seeds | seeds | finalists | wins of {proofs} | gains but for the guard |"
         " falls | spread of the change | mean width of the interval |")  # fmt: skip
    tell("|---|---|---|---|---|---|---|---|---|")
    for pictures, boxes, spread, seeds, finalists in (
        (80, 12, 0.4, 4, 1),
        (80, 12, 1.0, 4, 1),
        (20, 4, 0.4, 4, 1),
        (80, 12, 0.4, 4, 3),
    ):
        found = simulated(proofs, pictures=pictures, boxes=boxes, seeds=seeds, spread=spread, finalists=finalists)
        share = found["wins"] / proofs
        tell(
            f"| {pictures}, {boxes} | {spread} | {seeds} | {finalists} | {found['wins']} ({share:.1%}) |"
            f" {found['gains']} | {found['losses']} | {found['spread']:.3f} | {found['width']:.3f} |"
        )
