"""An output folder with every table, small and plausible, about drawn pictures: what the page is made from."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import outputs

from detray import schema
from detray.demo.draw import draw_dataset
from detray.demo.shapes import CLASSES
from detray.store import Store

RUN = "sample"
MODEL = "retinanet"
EVALUATION = {"split": "val", "model": MODEL}
WEAK = len(CLASSES)  # the last class
TAKEN_FOR = 4

PAIRS = [(1, 1, 40), (2, 2, 30), (WEAK, 4, 9), (WEAK, WEAK, 3), (4, 4, 33), (WEAK, None, 4), (None, 1, 7), (2, 1, 5)]
"""True class, predicted class, pairs."""

Row = dict[str, Any]


TUNED = {
    "sentence": "trial-3 (oversample target x8) wins: AP of target +0.074",
    "levers": [
        {"name": "oversample", "values": ["target x4", "target x8"], "because": "target: class_imbalance"},
        {"name": "focal_gamma", "values": [], "because": "no cause that holds asks for it"},
    ],
    "second_trial": "the second trial is the remedy that regains 0.210 AP at most, target: class_imbalance",
    "pipeline": ["gamma: 1.5  # <in> loss"],
}


def write_stage(store: Store, name: str, tables: dict[str, Iterable[Row]], facts: dict[str, Any] | None = None) -> None:
    """Write and commit a stage whose tables have these rows."""
    written = {table: schema.from_rows(table, list(rows), run=RUN) for table, rows in tables.items()}
    outputs.write_stage(
        store,
        name,
        written,
        facts,
        created="2026-01-02T03:04:05+00:00",
        seconds={"total": 12.3},
        versions={"numpy": "2"},
    )


def write_all(folder: Path, names: tuple[str, ...] = CLASSES) -> Store:
    """Every stage but report, with classes called ``names``."""
    draw_dataset(folder / "data", seed=2, train=0, val=14, test=0)
    store = Store(str(folder / "out"))
    annotations = write_ingest(store, folder / "data", names)
    write_audit(store, annotations, names)
    write_evaluation(store, annotations, names)
    write_diagnosis(store, annotations, names)
    write_tuning(store, names)
    return store


def write_ingest(store: Store, data: Path, names: tuple[str, ...]) -> list[Row]:
    document = json.loads((data / "annotations" / "val.json").read_text())
    images = [
        {"split": "val", "image_id": row["id"], "file_name": row["file_name"], "width": row["width"]}
        | {"height": row["height"], "image_row": number, "path": str(data / "images" / "val" / row["file_name"])}
        for number, row in enumerate(document["images"])
    ]
    annotations = [
        {"split": "val", "annotation_id": row["id"], "annotation_row": number, "image_id": row["image_id"]}
        | {"category_id": row["category_id"], "area": row["area"], "is_crowd": False, "is_difficult": False}
        | dict(zip(("x", "y", "width", "height"), row["bbox"], strict=True))
        for number, row in enumerate(document["annotations"])
    ]
    categories = [
        {"split": "val", "category_id": number, "category_name": name, "source": "annotations"}
        for number, name in enumerate(names, 1)
    ]
    ids = [row["image_id"] for row in images]
    shard = {"index": 0, "split": "val", "low": min(ids), "high": max(ids) + 1}
    shard |= {"n_images": len(images), "n_annotations": len(annotations)}
    quarantine = [{"stage": "ingest", "source_file": "val.json", "row": 3, "reason": "not-finite", "detail": "NaN"}]
    write_stage(
        store,
        "ingest",
        {"images": images, "annotations": annotations, "categories": categories, "quarantine": quarantine},
        {"shards": [shard]},
    )
    return annotations


def finding(rule: str, severity: int, annotation: Row | None = None, **changes: Any) -> Row:
    row: Row = {
        "finding_id": f"{rule}-{changes.get('scope')}-{annotation and annotation['annotation_row']}",
        "rule": rule,
    }
    row |= {"family": "geometry", "severity": severity, "severity_name": schema.SEVERITIES[severity], "confidence": 1.0}
    row |= {"scope": "annotation", "message": f"a message of {rule}", "fix": f"how to mend {rule}", "split": "val"}
    if annotation:
        row |= {key: annotation[key] for key in ("image_id", "annotation_id", "annotation_row", "category_id")}
        row |= {key: annotation[key] for key in ("x", "y", "width", "height")}
    return row | changes


def write_audit(store: Store, annotations: list[Row], names: tuple[str, ...]) -> None:
    named = [row | {"category_name": names[row["category_id"] - 1]} for row in annotations]
    name_of = {row["annotation_row"]: row["category_name"] for row in named}
    findings = [
        finding("degenerate-box", 3, annotations[0], width=0.0, category_name=name_of[0], file_name="val_0000.jpg"),
        finding(
            "out-of-bounds", 3, annotations[4], x=125.0, width=40.0, category_name=name_of[4], root_cause_id="root"
        ),
        finding("out-of-bounds", 3, annotations[9], y=-22.0, category_name=name_of[9], root_cause_id="root"),
        finding("out-of-bounds", 3, scope="class", count=2, finding_id="root", image_id=None),
        finding("duplicate-box", 2, annotations[11], other_annotation_id=annotations[12]["annotation_id"]),
        finding("not-finite", 3, annotations[14], x=None, y=None, width=None, height=None),
        finding("corrupt-image", 3, scope="image", image_id=annotations[20]["image_id"], file_name="val_0005.jpg"),
        finding("missing-image", 3, scope="image", image_id=None, file_name="gone.jpg"),
        finding("few-examples", 1, scope="class", category_id=WEAK, category_name=names[WEAK - 1], count=1),
        *(finding("tiny-box", 1, row, confidence=0.5 + row["annotation_row"] / 1000) for row in annotations[:30]),
    ]
    stats = [
        {"split": "val", "category_id": number, "category_name": name, "n_images": 5, "n_findings_error": 1}
        | {"n_boxes": sum(row["category_id"] == number for row in annotations)}
        for number, name in enumerate(names, 1)
    ]
    both = {"split": "train", "other_split": "val", "n_pictures": 12, "n_boxes": 100, "finding_id": "drawn"}
    twice = [
        both | {"iou_threshold": threshold, "n_matched": n, "agreement": n / 50}
        for threshold, n in ((0.5, 46), (0.75, 30))
    ]
    write_stage(store, "audit", {"findings": findings, "class_stats": stats, "drawn_twice": twice})


def write_evaluation(store: Store, annotations: list[Row], names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    aps = dict(enumerate((0.62, 0.55, None, 0.41, 0.06), 1))
    metrics, curves, errors = [], [], []
    for number, name in enumerate(names, 1):
        ap = aps[number]
        group = EVALUATION | {"category_id": number, "category_name": name}
        row = group | {
            "area_range": "all",
            "max_detections": 100,
            "n_ground_truth": 12 if ap else 0,
            "n_detections": 40,
        }
        metrics.append(group | {"area_range": "small", "max_detections": 100, "ap": 0.01})
        if ap is None:
            metrics.append(row)
            continue
        row |= {"ap": ap, "ap50": min(1, ap * 1.5), "ap75": ap * 0.8, "ar100": ap * 1.1, "ap_low": ap * 0.7}
        row |= {
            "ap_high": min(ap * 1.3, 1),
            "best_f1_threshold": 0.3,
            "best_f1": 2 * ap * 0.8 / (ap + 0.8),
            "best_f1_precision": 0.8,
            "best_f1_recall": ap,
        }
        metrics.append(row | {"ece": 0.1})
        for threshold, reach in ((0.5, min(1, ap * 1.5)), (0.75, ap)):
            for recall in np.linspace(0, 1, 101):
                precision = float(max(0.0, 1 - (recall / reach) ** 3)) if recall < reach else 0.0
                curves.append(group | {"iou_threshold": threshold, "recall": recall, "precision": precision})
        for error in ("classification", "localization", "both", "duplicate", "background", "missed"):
            errors.append(group | {"error": error, "n": int(rng.integers(30)), "d_ap": float(rng.uniform(0, 0.4))})
    matches = [_match(row, names, rng) for row in annotations]
    matches += [_false_positive(row, names) for row in annotations[::4]]
    images = sorted({row["image_id"] for row in annotations})
    worst = [
        EVALUATION
        | {"image_id": image, "file_name": f"val_{number:04d}.jpg", "n_ground_truth": 5, "n_detections": 4}
        | {"n_missed": 3 - number % 3, "n_false": 1, "rank": number + 1}
        for number, image in enumerate(images)
    ]
    confusion = [
        EVALUATION
        | {"category_id": true, "category_name": true and names[true - 1], "predicted_category_id": said}
        | {"predicted_category_name": said and names[said - 1], "n": n, "iou_threshold": 0.5, "score_threshold": 0.3}
        for true, said, n in PAIRS
    ]
    summary = [
        EVALUATION | {"metric": name, "value": value, "low": 0.3, "high": 0.5}
        for name, value in (("AP", 0.424), ("AP50", 0.63), ("AP75", 0.4), ("APs", 0.3), ("APl", None))
    ]
    tables: dict[str, Iterable[Row]] = {
        "summary_metrics": summary,
        "class_metrics": metrics,
        "pr_curves": curves,
        "errors": errors,
        "matches": matches,
        "image_metrics": worst,
        "confusion": confusion,
        "slices": [
            EVALUATION
            | {"slice": "size", "value": value, "category_id": WEAK, "category_name": names[WEAK - 1]}
            | {"n_ground_truth": n, "ap": ap}
            for value, n, ap in (("[128, 256) px", 1, 0.1), ("[16, 32) px", 3, 0.09), ("[0, 16) px", 7, 0.03))
        ],
    }
    write_stage(store, "evaluate", tables)


def _match(annotation: Row, names: tuple[str, ...], rng: np.random.Generator) -> Row:
    """A detection near a labelled box, or the box as missed."""
    row = EVALUATION | {key: annotation[key] for key in ("image_id", "category_id", "annotation_id", "annotation_row")}
    row |= {"category_name": names[annotation["category_id"] - 1], "gt_area": annotation["area"]}
    box = {key: annotation[key] for key in ("x", "y", "width", "height")}
    if annotation["category_id"] == WEAK or rng.uniform() < 0.2:
        other = {"other_category_id": TAKEN_FOR, "other_category_name": names[TAKEN_FOR - 1], "other_iou": 0.8}
        return row | box | other | {"outcome": "missed", "file_name": "a.jpg"}
    moved = {key: value + float(rng.normal(0, 1.5)) for key, value in box.items()}
    return (
        row
        | moved
        | {"outcome": "true_positive", "score": float(rng.uniform(0.4, 1)), "rank": 1, "class_rank": 1, "iou": 0.65}
    )


def _false_positive(annotation: Row, names: tuple[str, ...]) -> Row:
    box = {"x": annotation["x"] / 2, "y": annotation["y"] / 2, "width": 20.0, "height": 22.0}
    row = EVALUATION | box | {"image_id": annotation["image_id"], "category_id": WEAK, "category_name": names[WEAK - 1]}
    return row | {"outcome": "false_positive", "score": 0.71, "rank": 9, "class_rank": 1, "file_name": "b.jpg"}


def write_diagnosis(store: Store, annotations: list[Row], names: tuple[str, ...]) -> None:
    weak = EVALUATION | {"category_id": WEAK, "category_name": names[WEAK - 1], "ap": 0.06, "ap50": 0.09}
    diagnoses = [
        weak
        | {"rank": 1, "cause": "class_imbalance", "confidence": 0.93, "d_ap": 0.21, "d_ap_is_ceiling": True}
        | {"remedy": "Repeat its images."}
        | {"evidence": json.dumps({"training_boxes": 15, "share": 0.0144, "pairs": [[1, 2]], "half": "\ud800"})}
        | {"sentence": f"{names[WEAK - 1]} has 15 of 1,037 training boxes (1.4%), a fourteenth of the median class."}
        | {"remedy_config": "tune:\n  focus: [star]\n  space:\n    oversample: [1, 4, 8]\n"},
        weak
        | {"rank": 2, "cause": "class_confusion", "confidence": 0.7, "remedy": "Add contrasting examples."}
        | {"evidence": "{}", "sentence": f"9 of 16 missed boxes are covered by detections of {names[TAKEN_FOR - 1]}."},
    ]
    suspects = [
        EVALUATION
        | {key: row[key] for key in ("image_id", "annotation_id", "annotation_row", "category_id")}
        | {"category_name": names[row["category_id"] - 1], "kind": "wrong_class", "score": 0.97 - number / 10}
        | {key: row[key] for key in ("x", "y", "width", "height")}
        | {f"suggested_{key}": row[key] for key in ("x", "y", "width", "height")}
        | {"suggested_category_id": 2, "suggested_category_name": names[1], "file_name": "c.jpg"}
        for number, row in enumerate(annotations[5:8])
    ]
    write_stage(store, "diagnose", {"diagnoses": diagnoses, "label_errors": suspects})


def write_tuning(store: Store, names: tuple[str, ...]) -> None:
    trials, progress = [], []
    for number in range(4):
        trial = f"trial-{number}"
        trials.append(
            {
                "trial_id": trial,
                "phase": "search",
                "status": "completed" if number else "failed",
                "seed": 0,
                "config": '{"freeze_units": 0, "augmentation": {"flip": {"p": 0.5}}}',
                "changes": json.dumps({"freeze_units": number, "augmentation.flip.p": 0.25} if number else {}),
            }
            | {"focal_alpha": 0.25, "focal_gamma": 2.0, "freeze_units": number, "oversample_factor": 2.0**number}
            | {"epochs": 6, "kept_epoch": 5, "seconds": 20.0 + number, "cost_share": 0.25, "objective": 0.05 * number}
            | {
                "is_baseline": number == 1,
                "is_best": number == 3,
                "error": None if number else "the loss is not finite",
            }
        )
        for epoch in range(1, 7):
            progress.append(
                {"trial_id": trial, "epoch": epoch, "category_id": WEAK, "category_name": names[WEAK - 1]}
                | {"ap": 0.02 * epoch * (number + 1) / 4, "is_kept": epoch == 5}
            )
    deltas = [
        {"category_id": number, "category_name": name, "baseline_ap": 0.4, "best_ap": 0.41, "delta": 0.01, "seeds": 4}
        | {
            "delta_low": -0.015,
            "delta_high": 0.03,
            "verdict": "unclear",
            "is_focus": False,
            "guard_kept": True,
            "guard_risk": 0.01,
        }
        for number, name in enumerate(names[: WEAK - 1], 1)
    ]
    gained = {"baseline_ap": 0.06, "best_ap": 0.134, "delta": 0.074, "delta_low": 0.021, "delta_high": 0.12}
    deltas.append(
        {"category_id": WEAK, "category_name": names[WEAK - 1], "verdict": "better", "is_focus": True, "seeds": 4}
        | gained
    )
    write_stage(store, "tune", {"trials": trials, "trial_class_metrics": progress, "class_deltas": deltas}, TUNED)
    history = [
        {"epoch": epoch, "split": "train", "loss": 3.0 / epoch, "class_loss": 1.0, "box_loss": 1.0}
        | {"is_kept": epoch == 7}
        for epoch in range(1, 9)
    ]
    history += [
        {"epoch": epoch, "split": "val", "category_id": number, "category_name": name, "is_kept": epoch == 7}
        | {"ap": 0.02 * epoch * number, "ap50": 0.03 * epoch * number}
        for epoch in range(1, 9)
        for number, name in enumerate(names, 1)
    ]
    write_stage(store, "train", {"history": history})
