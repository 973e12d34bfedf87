"""Label errors that were planted before the training are found: precision and speed, beside ObjectLab and hotcoco.

``python benchmarks/label_errors.py [BCCD] [--cache FOLDER] [--objectlab PYTHON] [--hotcoco PYTHON]``

Of the labels of the split train a tenth each is left out, moved and relabelled, and as many boxes of nothing are added.
Two detectors are trained, each on half of the pictures with these labels, and predict the other half: trainings are
niced, and kept in the cache. All three rank the same detections. The first figure is the precision at as many suspects
as were planted, the second the average precision. Where an interpreter is not given, or lacks the package, its line
is left out. ``--regain`` trains on the labels as they are, with faults, and corrected by what is likelier wrong than
right, and evaluates all three on true labels.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
from noisy_labels.data import KINDS, Noise, Source, blood_cells, drawn, plant, predict_folds, train_and_predict

from detray.boxes import pairwise_iou
from detray.diagnose.evidence.unlabelled import LIKELY
from detray.diagnose.label_errors import label_errors
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe
from detray.store import Store

SIDES = ("x", "y", "width", "height")
Suspects = Mapping[str, list[tuple[Any, float]]]
"""By kind: the row of a label, or (image, class, box) of one that is missing, and a score."""


def ours(tables: Mapping[str, pa.Table], names: Mapping[int, str]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds from tables to suspects, and the suspects."""
    start = process_time()
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(scene, np.array(sorted(names)))
    found = label_errors(seen.boxes, seen.detections, seen.counts, names, run="x", split="train", model="m")
    return process_time() - start, found.to_pylist()


def suspects_of(rows: Iterable[Mapping[str, Any]]) -> Suspects:
    """Rows of the table label_errors by kind; ids of annotations are their rows, from 1 on."""
    found: dict[str, list[tuple[Any, float]]] = {kind: [] for kind in KINDS}
    for row in rows:
        what: Any = (row["annotation_id"] or 0) - 1
        if row["kind"] == "missing":
            box = [row[f"suggested_{side}"] for side in SIDES]
            what = (row["image_id"], row["suggested_category_id"], box)
        found[row["kind"]].append((what, row["score"]))
    return found


def peer(name: str, python: str | None, noise: Noise, results: list[dict[str, Any]]) -> tuple[float, Suspects] | None:
    """The same by another tool; None, and a line, where it is not there."""
    if python is None:
        print(f"{name}: left out, no interpreter is given")
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given.json"), Path(folder, "found.json")
        given.write_text(json.dumps({"document": noise.document, "results": results}))
        script = Path(__file__).with_name("noisy_labels") / "peers.py"
        ended = subprocess.run([python, script, name, given, found], capture_output=True, text=True)
        if ended.returncode:
            print(f"{name}: left out, {ended.stderr.strip().splitlines()[-1:]}")
            return None
        answer = json.loads(found.read_text())
    suspects = answer["suspects"]
    suspects["missing"] = [
        ((results[row]["image_id"], results[row]["category_id"], results[row]["bbox"]), score)
        for row, score in suspects.get("missing", [])
    ]
    return answer["seconds"], suspects


def is_right(suspects: Suspects, kind: str, noise: Noise) -> tuple[np.ndarray, int]:
    """Whether each suspect of a kind, from the highest score down, is a planted one; how many were planted."""
    ordered = sorted(suspects.get(kind, []), key=lambda pair: -pair[1])
    if kind != "missing":
        return np.array([noise.kind[row] == kind for row, _ in ordered], bool), noise.kind.count(kind)
    left: dict[tuple[int, int], list[list[float]]] = {}
    for label in noise.missing:
        left.setdefault((label["image_id"], label["category_id"]), []).append(label["bbox"])
    right = []
    for (image, category, box), _ in ordered:
        there = left.get((image, category), [])
        iou = pairwise_iou(np.array([box]), np.array(there).reshape(-1, 4))[0]
        right.append(bool(len(there)) and float(iou.max()) >= 0.5)
        if right[-1]:
            there.pop(int(iou.argmax()))
    return np.array(right, bool), len(noise.missing)


def figures(right: np.ndarray, planted: int) -> tuple[float, float]:
    """Precision at the number planted, and average precision."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(right[:planted].sum()) / planted, float(precision[right].sum()) / planted


def tables_of(folder: Path, predictions: pa.Table) -> dict[str, pa.Table]:
    """Images and annotations of the held-out folds, and the predictions."""
    found: dict[str, pa.Table] = {}
    for name in ("images", "annotations"):
        parts = [
            Store(str(out)).read(name, filters=[("split", "=", "val")]) for out in sorted(folder.glob("fold*/out"))
        ]
        found[name] = pa.concat_tables(parts)
    return found | {"predictions": predictions}


def corrected(noise: Noise, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The labels after what is likelier wrong than right was mended as is suggested."""
    labels = [dict(label) for label in noise.document["annotations"]]
    dropped, added = set(), []
    for row in rows:
        if row["score"] < LIKELY:
            continue
        box = [row[f"suggested_{side}"] for side in SIDES]
        if row["kind"] == "missing":
            own = {"image_id": row["image_id"], "category_id": row["suggested_category_id"], "bbox": box}
            added.append(own | {"area": box[2] * box[3], "iscrowd": 0})
        elif row["kind"] == "spurious":
            dropped.add(row["annotation_id"])
        elif row["kind"] == "wrong_class":
            labels[row["annotation_id"] - 1]["category_id"] = row["suggested_category_id"]
        else:
            labels[row["annotation_id"] - 1] |= {"bbox": box, "area": box[2] * box[3]}
    labels = [label for label in labels if label["id"] not in dropped]
    labels += [label | {"id": len(noise.document["annotations"]) + 1 + k} for k, label in enumerate(added)]
    return dict(noise.document) | {"annotations": labels}


def regained(source: Source, noise: Noise, rows: Iterable[Mapping[str, Any]], cache: Path, seed: int) -> None:
    """Print the AP of detectors that were trained on true, faulty and corrected labels."""
    trained = {"clean": source.documents["train"], "noisy": noise.document, "corrected": corrected(noise, rows)}
    for name, document in trained.items():
        folder = cache / f"{source.name}-{name}-{seed}" / "whole"
        own = {"train": document, "val": source.documents["val"]}
        metrics = train_and_predict(source, own, source.pictures, folder, source.epochs, seed).read("class_metrics")
        found = [row for row in metrics.to_pylist() if row["area_range"] == "all" and row["ap"] is not None]
        mean = {word: float(np.mean([row[word] for row in found])) for word in ("ap", "ap50")}
        print(f"{source.name}, trained on {name} labels: mAP {mean['ap']:.3f}, AP50 {mean['ap50']:.3f}")


def report(source: Source, cache: Path, seed: int, peers: Mapping[str, str | None], *, regain: bool) -> None:
    """Print the figures of a data set."""
    names = {one["id"]: one["name"] for one in source.documents["train"]["categories"]}
    noise = plant(source.documents["train"], seed)
    folder = cache / f"{source.name}-noisy-{seed}"
    tables = tables_of(folder, predict_folds(source, noise.document, folder, seed))
    found = tables["predictions"].to_pylist()
    results = [
        {name: row[name] for name in ("image_id", "category_id", "score")} | {"bbox": [row[side] for side in SIDES]}
        for row in found
    ]
    ours(tables, names)
    seconds, rows = ours(tables, names)
    said = {"detray": (seconds, suspects_of(rows))}
    for name, python in peers.items():
        answer = peer(name, python, noise, results)
        said |= {} if answer is None else {name: answer}
    n_boxes = len(noise.kind) + len(results)
    print(f"\n| {source.name}, {n_boxes:,} boxes | {' | '.join(KINDS)} | boxes a CPU second |")
    print(f"|---|{'---|' * (len(KINDS) + 1)}")
    for name, (seconds, suspects) in said.items():
        cells = [
            "{:.2f} / {:.2f}".format(*figures(*is_right(suspects, kind, noise))) if kind in suspects else "-"
            for kind in KINDS
        ]
        print(f"| {name} | {' | '.join(cells)} | {n_boxes / seconds:,.0f} |")
    likely = [row for row in rows if row["score"] >= LIKELY]
    for kind in KINDS:
        right, _ = is_right(suspects_of(row for row in likely if row["kind"] == kind), kind, noise)
        print(f"likelier wrong than right, {kind}: {len(right)}, of which {int(right.sum())} are")
    if regain:
        regained(source, noise, rows, cache, seed)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bccd", nargs="?", type=Path, help="folder of BCCD")
    arguments.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "label_errors"))
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--objectlab", help="an interpreter that has cleanlab")
    arguments.add_argument("--hotcoco", help="an interpreter that has hotcoco")
    arguments.add_argument("--regain", action="store_true")
    options = arguments.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    peers = {"objectlab": options.objectlab, "hotcoco": options.hotcoco}
    report(drawn(options.cache), options.cache, options.seed, peers, regain=options.regain)
    if options.bccd is not None:
        source = blood_cells(options.bccd, options.cache)
        report(source, options.cache, options.seed, peers, regain=options.regain)


if __name__ == "__main__":
    main()
