"""``wins --real``: proofs in which candidate and baseline are the same configuration on other seeds.

Some networks are trained, each on a seed of its own, and each proof draws eight of them, four a side: proofs share
networks, so their count of wins spreads more than that of as many independent ones.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from planted.data import drawn
from planted.runs import Bench, command

from detray.detectors.data import load
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.loop import detections, train
from detray.evaluate.scores import ImageGroups, Scores, class_scores
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.settings import convert, to_yaml
from detray.store import Store
from detray.tables import Shard, class_names, own_classes
from detray.tune.proof import GROUPS, Runs, prove
from tuned.wins import MAX_DROP

NETWORKS, SEEDS = 24, 4
EPOCHS = 8


def report(proofs: int, work: Path, tell: Callable[[str], None]) -> None:
    """How many of the proofs are wins."""
    found = _scores(work, tell)
    focus = np.arange(found[0].ap.shape[0]) == found[0].ap.shape[0] - 1
    wins = gains = 0
    for number in range(proofs):
        chosen = np.random.default_rng(number).permutation(len(found))[: 2 * SEEDS]
        sides = [_runs([found[place] for place in half]) for half in (chosen[:SEEDS], chosen[SEEDS:])]
        proof = prove(sides[0], sides[1], focus, MAX_DROP)
        wins, gains = wins + proof.is_win, gains + bool(proof.focus.low[0] > 0)
    tell(f"{NETWORKS} networks of {EPOCHS} epochs: {wins} wins of {proofs}, {gains} gains but for the guard")


def _runs(scores: list[Scores]) -> Runs:
    return Runs(
        np.stack([one.ap.mean(axis=1) for one in scores]),
        np.stack([one.ap[:, 0] for one in scores]),
        np.stack([one.left_out for one in scores]),
    )


def _scores(work: Path, tell: Callable[[str], None]) -> list[Scores]:
    data = drawn(work / "drawn")
    bench = Bench(work, work)
    config = bench.config(data, bench.clean(data, 0), work, ("train", "val"))
    (work / "real.yaml").write_text(to_yaml(config))
    command("ingest", work / "real.yaml", work / "real")
    store = Store(str(work / "real"))
    detector = convert(data.detector, DetectorSettings, "benchmark")
    shards = {split: [store.read_shard(key) for key in store.shards([split])] for split in ("train", "val")}
    classes = class_names(own_classes(shards["train"][0].categories))
    learnt, seen = (load(shards[split], detector, classes, run="benchmark") for split in ("train", "val"))
    truth = read_scene(_joined(shards["val"]), EvaluateSettings()).gt
    groups = ImageGroups(np.unique(seen.image_ids), GROUPS)
    found = []
    for seed in range(NETWORKS):
        settings = TrainSettings(epochs=EPOCHS, seed=seed, keep="last")
        model = train(learnt, None, detector, settings, classes).model
        found.append(class_scores(truth, detections(model, seen), sorted(classes), groups))
        tell(f"seed {seed}: AP {found[-1].ap.mean():.3f}")
    return found


def _joined(shards: list[Shard]) -> Shard:
    first = shards[0]
    tables = {name: pa.concat_tables([getattr(one, name) for one in shards]) for name in ("images", "annotations")}
    return Shard(first.split, tables["images"], tables["annotations"], first.categories)
