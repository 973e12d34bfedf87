"""Every table detray writes, declared once: columns, types, units and meaning.

The documentation page, ``detray schema`` and validation at every boundary (`conform`) derive from
`TABLES`. Boxes are COCO's ``x, y, width, height`` in pixels of the image as displayed (EXIF
orientation applied); boxes and scores are float64, because float32 moves AP in its fourth decimal;
a value that cannot be computed is NULL, never -1 or NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from detray.errors import DetrayError

SEVERITIES = ("info", "suspect", "warning", "error", "fatal")
"""Names of the severities 0 to 4: by effect; error and fatal need proof."""

AREA_RANGES = ("all", "small", "medium", "large")
"""COCO's object sizes: small up to 32², medium up to 96² pixels, both ends inclusive."""


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, meaning and unit; ``required`` columns hold no NULL."""

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    required: bool = False

    def field(self) -> pa.Field:
        metadata = {"description": self.description}
        if self.unit:
            metadata["unit"] = self.unit
        return pa.field(self.name, self.type, nullable=not self.required, metadata=metadata)


@dataclass(frozen=True)
class Table:
    """One table: the stage that writes it, what a row stands for, and its columns in order."""

    name: str
    stage: str
    row: str
    columns: tuple[Column, ...]

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema(
            [column.field() for column in self.columns],
            metadata={"table": self.name, "row": self.row},
        )


def _text(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, pa.string(), description, required=required)


def _id(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, pa.int64(), description, required=required)


def _count(name: str, description: str, unit: str = "") -> Column:
    return Column(name, pa.int64(), description, unit)


def _number(name: str, description: str, unit: str = "", *, required: bool = False) -> Column:
    return Column(name, pa.float64(), description, unit, required)


def _flag(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, pa.bool_(), description, required=required)


RUN = _text("run", "The configuration's name", required=True)
RUN_ID = _text("run_id", "The output folder, by a random number: one for all its tables; NULL in memory")
SPLIT = _text("split", "The data split: train, val, test, ...", required=True)
MODEL = _text("model", "The model whose detections these are", required=True)
TRIAL = _text("trial_id", "The tuning trial", required=True)
EPOCH = Column("epoch", pa.int32(), "Training epoch, from 1", required=True)
IMAGE = (
    SPLIT,
    _id("image_id", "The image", required=True),
    _text("file_name", "The picture, below its split's image folder"),
)
CLASS = (_id("category_id", "The class", required=True), _text("category_name", "The class's name"))
FOLDERS = (
    _text("earlier", "The output folder that is compared against", required=True),
    _text("later", "The output folder that is compared with it", required=True),
)
MAYBE_CLASS = (_id("category_id", "The class, where it is about one"), _text("category_name", "The class's name"))
BOX = (
    _number("x", "Left edge; NULL where not finite", "px"),
    _number("y", "Top edge; NULL where not finite", "px"),
    _number("width", "Width; NULL where not finite", "px"),
    _number("height", "Height; NULL where not finite", "px"),
)
INTERVAL_UNIT = "95% bootstrap over images"

DEFECTS = Column(
    "defects",
    pa.list_(
        pa.struct(
            [
                pa.field("rule", pa.string()),
                pa.field("field", pa.string()),
                pa.field("observed", pa.string()),
            ]
        )
    ),
    "What the reader met in this row and could not take as it stood (rule code, field, the value as"
    " written, cut at 200 characters); NULL for a clean row. The audit turns each into a finding",
)

ATTRIBUTES = _text("attributes", "Fields of the source that have no column here, as a JSON object; NULL if none")

_TABLES = (
    Table(
        "images",
        "ingest",
        "image",
        (
            RUN,
            RUN_ID,
            SPLIT,
            _id("image_id", "The image; NULL where its source gives none that can be read"),
            _text("file_name", "The picture, below its split's image folder"),
            _count("width", "Stated width; NULL where not stated", "px"),
            _count("height", "Stated height; NULL where not stated", "px"),
            _count("image_row", "Position in the source's own list, from 0"),
            _text(
                "path",
                "Where the picture lies: a full path or URI, or of one within a TFRecord file"
                " tfrecord://FILE#START,LENGTH in bytes; NULL where no image folder is stated",
            ),
            _text("source_file", "The file this row was read from"),
            ATTRIBUTES,
            DEFECTS,
        ),
    ),
    Table(
        "annotations",
        "ingest",
        "box",
        (
            RUN,
            RUN_ID,
            SPLIT,
            _id("annotation_id", "The source's id; NULL where it has none"),
            _count("annotation_row", "Position in the source file's own list, from 0 (ids can collide)"),
            _id("image_id", "The image; NULL where not readable"),
            _text("file_name", "Its picture, below the split's image folder"),
            _id("category_id", "The class; NULL where not readable"),
            _text("category_name", "The class's name; NULL where it has none"),
            *BOX,
            _number("area", "The source's area field, else width times height", "px²"),
            _flag("is_crowd", "COCO iscrowd: a region of many objects", required=True),
            _flag("is_difficult", "Pascal VOC difficult: only the Pascal AP uses it", required=True),
            _text("segmentation", "COCO polygon or RLE as JSON; NULL if none"),
            _text("annotator", "Who drew it; NULL if unknown"),
            _text("source_file", "The file this row was read from"),
            ATTRIBUTES,
            DEFECTS,
        ),
    ),
    Table(
        "categories",
        "ingest",
        "class and split",
        (
            RUN,
            RUN_ID,
            SPLIT,
            *CLASS,
            _text("source", "annotations, label_map or predictions", required=True),
            _flag("is_listed", "False: no list of the annotation files has the class, only its boxes name it"),
            _text("source_file", "The file that lists the class, the first of several that list it alike"),
            ATTRIBUTES,
            DEFECTS,
        ),
    ),
    Table(
        "findings",
        "audit",
        "problem",
        (
            RUN,
            RUN_ID,
            _text("finding_id", "Stable key of this finding in this run", required=True),
            _text("rule", "The rule's code", required=True),
            _text("family", "schema, identity, geometry, relation, class, image, pipeline or pattern", required=True),
            Column("severity", pa.int8(), "0 info, 1 suspect, 2 warning, 3 error, 4 fatal", required=True),
            _text("severity_name", "The severity in words", required=True),
            _number("confidence", "How sure the rule is: 1 where proven", "0 to 1"),
            _text("scope", "dataset, split, class, image or annotation", required=True),
            _count("count", "Rows this finding stands for"),
            _text("split", "The data split; NULL where it is about several"),
            _id("image_id", "The image"),
            _text("file_name", "The picture or the annotation file"),
            _id("annotation_id", "The annotation's id"),
            _count("annotation_row", "Its position in the source file's list, from 0"),
            _count("image_row", "Position of the image in the source's own list, from 0, where it is about the image"),
            _text("source_file", "That source file; with annotation_row it names the row, as ids can collide"),
            _text("annotator", "Who drew it, or whom it is about; NULL if unknown"),
            _id("other_annotation_id", "The other annotation of a pair"),
            _count("other_annotation_row", "Its position in its source file's list, from 0"),
            _text("other_file_name", "The other picture of a pair that look alike or are one picture"),
            _text("other_split", "That picture's split"),
            _id("category_id", "The class"),
            _text("category_name", "The class's name"),
            _text("other_category_name", "The other class of a pair"),
            *BOX,
            _text("observed", "What was found"),
            _text("expected", "What would be right"),
            _number("threshold", "The rule's threshold, in unit"),
            _text("unit", "Unit of threshold and of numbers in observed"),
            _text("root_cause_id", "finding_id of the root finding that explains this one"),
            _text("message", "One sentence for a person", required=True),
            _text("fix", "What to do", required=True),
        ),
    ),
    Table(
        "class_stats",
        "audit",
        "class and split",
        (
            RUN,
            RUN_ID,
            SPLIT,
            *CLASS,
            _count("n_images", "Images with at least one box of the class"),
            _count("n_boxes", "Boxes, crowds included; what several annotators drew counts for each"),
            _count("n_crowd", "Crowd boxes"),
            _number("share", "Share of the split's boxes", "0 to 1"),
            _number("boxes_per_image", "Mean over the images that hold the class"),
            _count("max_boxes_per_image", "Most boxes of the class in one image"),
            _count("n_small", "Boxes with area up to 32²"),
            _count("n_medium", "Boxes with area over 32² and up to 96²"),
            _count("n_large", "Boxes with area over 96²"),
            _number("size_p05", "5% quantile of the square root of the box area, to 0.5% (bins of 1/64 octave)", "px"),
            _number("size_p50", "Median of the square root of the box area, to 0.5%", "px"),
            _number("size_p95", "95% quantile of the square root of the box area, to 0.5%", "px"),
            _number("aspect_p05", "5% quantile of width / height, to 0.5%"),
            _number("aspect_p50", "Median of width / height, to 0.5%"),
            _number("aspect_p95", "95% quantile of width / height, to 0.5%"),
            *(_count(f"n_findings_{name}", f"Findings of severity {name} on this class") for name in SEVERITIES),
            _number("effective_number", "(1 - b^n) / (1 - b), b = 0.999 (Cui et al., CVPR 2019)"),
            _number("weight_inverse_frequency", "Class weight by inverse frequency, mean 1 over classes"),
            _number("weight_effective_number", "Class weight by effective number, mean 1 over classes"),
            _number(
                "oversample_factor",
                "Repeat factor of the class's images, sqrt(t / f) at least 1, t = 0.1 (Gupta et al., LVIS, CVPR 2019)",
            ),
            _text(
                "config_fragment",
                "YAML for train.class_weights with the weight by effective number and, where it is above 1, for"
                " train.oversample with the factor; NULL without boxes",
            ),
        ),
    ),
    Table(
        "image_stats",
        "audit",
        "image whose picture was read",
        (
            RUN,
            RUN_ID,
            *IMAGE,
            _flag("is_decoded", "The whole picture decodes", required=True),
            _text("problem", "Why it does not: missing, truncated, too large, ...; NULL where decoded"),
            _count("real_width", "Width as displayed", "px"),
            _count("real_height", "Height as displayed", "px"),
            Column("exif_orientation", pa.int8(), "EXIF orientation, 1 to 8; NULL if none"),
            _count("bytes", "File size", "B"),
            _text("content_hash", "BLAKE2b-128 of the file"),
            Column("perceptual_hash", pa.int64(), "64-bit difference hash, bits as a signed integer"),
            _number("brightness", "Mean luma", "0 to 255"),
            _number("contrast", "Standard deviation of luma", "0 to 255"),
            _number("sharpness", "Variance of the Laplacian of luma"),
            _text("format", "The picture's format by its content: JPEG, PNG, GIF, ...; NULL where not decoded"),
            _text(
                "mode", "How its pixels are stored, as Pillow names it: RGB, L, CMYK, RGB;16B (16 bits), P+tRNS, ..."
            ),
        ),
    ),
    Table(
        "divided",
        "split",
        "image and the part it goes to",
        (
            RUN,
            RUN_ID,
            SPLIT,
            _id("image_id", "The image; NULL where its source gives none"),
            _text("file_name", "The picture, below its split's image folder"),
            _text("part", "The part it goes to: train, val or test", required=True),
            _count("group", "Images of one group are in one part: near-duplicates, bursts, what split.group names"),
            _count("group_images", "Images of the group"),
        ),
    ),
    Table(
        "drawn_twice",
        "audit",
        "pair of splits, class and IoU threshold of pictures that are drawn twice",
        (
            RUN,
            RUN_ID,
            SPLIT,
            _text("other_split", "The split of the second drawing; the same where both are in one", required=True),
            *MAYBE_CLASS,
            _number("iou_threshold", "Of a match", "0 to 1", required=True),
            _count("n_pictures", "Pictures that are drawn twice, of a class those where one of the drawings has it"),
            _count("n_boxes", "Boxes of both drawings"),
            _count("n_matched", "Boxes of the one that match one of the other, one to one within their class"),
            _number("agreement", "2 n_matched / n_boxes: beyond it AP at this threshold is noise", "0 to 1"),
            _text(
                "finding_id", "The finding of duplicate-disagreement that tells it; NULL: they agree, or are too few"
            ),
        ),
    ),
    Table(
        "history",
        "train",
        "epoch, split and class",
        (
            RUN,
            RUN_ID,
            EPOCH,
            SPLIT,
            *MAYBE_CLASS,
            _number("loss", "Total loss, on the row without a class"),
            _number("class_loss", "Focal loss part"),
            _number("box_loss", "Huber loss part"),
            _number("learning_rate", "At the end of the epoch"),
            _number("ap", "COCO AP", "0 to 1"),
            _number("ap50", "AP at IoU .5", "0 to 1"),
            _number("seconds", "Wall time of the epoch", "s"),
            _flag("is_kept", "The epoch whose weights the model has"),
        ),
    ),
    Table(
        "predictions",
        "predict",
        "detection",
        (
            RUN,
            RUN_ID,
            MODEL,
            *IMAGE,
            *CLASS,
            *BOX,
            _number("score", "Confidence", "0 to 1", required=True),
            Column("rank", pa.int32(), "Order in the source, from 1, for ties", required=True),
            _text("segmentation", "COCO RLE as JSON; NULL if none"),
        ),
    ),
    Table(
        "matches",
        "evaluate",
        "detection or missed box",
        (
            RUN,
            RUN_ID,
            MODEL,
            *IMAGE,
            *CLASS,
            _text(
                "outcome",
                "At IoU .5, all areas: true_positive, false_positive, ignored (on a crowd region) or missed",
                required=True,
            ),
            _text("error", "Of a false_positive: classification, localization, both, duplicate or background"),
            _id("annotation_id", "The box it matched at IoU .5, or the missed box"),
            _count("annotation_row", "That box's position in its source file"),
            Column("rank", pa.int32(), "The detection's order in its source; NULL for a missed box"),
            Column(
                "class_rank", pa.int32(), "The detection's place by score among those of its image and class, from 1"
            ),
            _number("score", "Confidence; NULL for a missed box", "0 to 1"),
            *BOX,
            _number("gt_area", "Area of the box it matched at IoU .5, or of the missed box", "px²"),
            _number(
                "iou",
                "Best IoU with a box of its own class (for a missed box: with a detection of its own class)",
                "0 to 1",
            ),
            _id("other_category_id", "The other class with the best overlap"),
            _text("other_category_name", "Its name"),
            _number(
                "other_iou",
                "Best IoU with a box of another class (for a missed box: with a detection of another class)",
                "0 to 1",
            ),
            *(
                Column(
                    f"matched_{area}",
                    pa.int16(),
                    f"Bit t set: matched at IoU threshold t (COCO: .5 + .05 t), {area}",
                )
                for area in AREA_RANGES
            ),
            *(
                Column(f"ignored_{area}", pa.int16(), f"Bit t set: ignored at IoU threshold t, {area}")
                for area in AREA_RANGES
            ),
            _flag(
                "voc_match",
                "A true positive by Pascal VOC at IoU .5; NULL: on a difficult box, a missed box, or another protocol",
            ),
        ),
    ),
    Table(
        "class_metrics",
        "evaluate",
        "split, model, class and area range",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            *CLASS,
            _text("area_range", "all, small, medium or large", required=True),
            Column("max_detections", pa.int32(), "Detections kept an image and class (LVIS: an image)", required=True),
            _count("n_ground_truth", "Boxes that count (no crowd, area in range)"),
            _count("n_images", "Images that hold them"),
            _count("n_detections", "Detections of the class that are kept; by area those that count at IoU .5"),
            _number(
                "ap",
                "Mean AP over the protocol's IoU thresholds (COCO .5:.05:.95); NULL without ground truth",
                "0 to 1",
            ),
            _number("ap50", "AP at IoU .5", "0 to 1"),
            _number("ap75", "AP at IoU .75", "0 to 1"),
            *(_number(f"ap{t}", f"AP at IoU .{t}", "0 to 1") for t in (55, 60, 65, 70, 80, 85, 90, 95)),
            _number("ar1", "Mean recall over IoU with 1 detection an image", "0 to 1"),
            _number("ar10", "Mean recall over IoU with 10 detections an image", "0 to 1"),
            _number("ar100", "Mean recall over IoU with max_detections, COCO's 100, an image", "0 to 1"),
            _number("recall50", "Recall at IoU .5 with all kept detections", "0 to 1"),
            _number("best_f1", "Highest F1 at IoU .5 over score thresholds", "0 to 1"),
            _number("best_f1_threshold", "The score where it is reached", "0 to 1"),
            _number("best_f1_precision", "Precision there", "0 to 1"),
            _number("best_f1_recall", "Recall there", "0 to 1"),
            _number("ap_low", "Lower end of AP's interval; NULL under 5 images", INTERVAL_UNIT),
            _number("ap_high", "Upper end of AP's interval; NULL under 5 images", INTERVAL_UNIT),
            _number("ece", "Detection expected calibration error at IoU .5, 10 equal-width bins", "0 to 1"),
            _number("voc_ap50_11point", "Pascal VOC 2007 AP at IoU .5", "0 to 1"),
            _number("voc_ap50_area", "Pascal VOC 2010 AP at IoU .5", "0 to 1"),
        ),
    ),
    Table(
        "summary_metrics",
        "evaluate",
        "number of the protocol",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            _text(
                "metric",
                "AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl; or docs/evaluation.md",
                required=True,
            ),
            _number("value", "Mean over the classes with ground truth", "0 to 1"),
            _number("low", "Lower end of its interval", INTERVAL_UNIT),
            _number("high", "Upper end of its interval", INTERVAL_UNIT),
        ),
    ),
    Table(
        "pr_curves",
        "evaluate",
        "class, IoU and recall point",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            *CLASS,
            _number("iou_threshold", "IoU", "0 to 1", required=True),
            _number("recall", "COCO's 101 recall points", "0 to 1", required=True),
            _number("precision", "Envelope precision there", "0 to 1"),
            _number("score", "Score at that point; NULL where recall is not reached", "0 to 1"),
        ),
    ),
    Table(
        "confusion",
        "evaluate",
        "true class and predicted class",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            _id("category_id", "The true class; NULL: background"),
            _text("category_name", "Its name; NULL: background"),
            _id("predicted_category_id", "The predicted class; NULL: background (missed)"),
            _text("predicted_category_name", "Its name; NULL: background"),
            _count("n", "Pairs"),
            _number("iou_threshold", "IoU from which a pair counts", "0 to 1", required=True),
            _number("score_threshold", "Detections below it are left out", "0 to 1", required=True),
        ),
    ),
    Table(
        "errors",
        "evaluate",
        "class and error type",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            *CLASS,
            _text("error", "classification, localization, both, duplicate, background or missed", required=True),
            _count("n", "Detections, or missed boxes"),
            _number(
                "d_ap",
                "AP of the class regained if all errors of the type are fixed (TIDE, Bolya et al., ECCV 2020);"
                " NULL where that leaves no box to find",
                "0 to 1",
            ),
            _number("d_ap50", "The same at IoU .5", "0 to 1"),
            Column("max_detections", pa.int32(), "Cap on detections an image and class"),
        ),
    ),
    Table(
        "image_metrics",
        "evaluate",
        "image",
        (
            RUN,
            RUN_ID,
            MODEL,
            *IMAGE,
            _count("n_ground_truth", "Boxes that count"),
            _count(
                "n_detections",
                "Detections at or above the best-F1 score of their class; a class without a true positive has none",
            ),
            _count("n_missed", "Boxes that none of these matches at IoU .5"),
            _count("n_false", "Of these detections, those that match nothing at IoU .5"),
            _id(
                "category_id", "The class with the most of both, of equal ones the lowest id; NULL where there are none"
            ),
            _text("category_name", "The class's name"),
            _number(
                "score_threshold", "The score from which detections of this class count; NULL: none does", "0 to 1"
            ),
            Column("rank", pa.int32(), "1 is the worst image of its split", required=True),
        ),
    ),
    Table(
        "slices",
        "evaluate",
        "slice column, its value, and class",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            _text("slice", "The column that slices", required=True),
            _text("value", "Its value or interval", required=True),
            *CLASS,
            _count("n_ground_truth", "Boxes of the class in the slice"),
            _number("ap", "COCO AP", "0 to 1"),
            _number("ap50", "AP at IoU .5", "0 to 1"),
        ),
    ),
    Table(
        "comparisons",
        "evaluate",
        "class",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            _text("other_model", "The model it is compared against", required=True),
            *CLASS,
            _count("n_images", "Images with boxes of the class"),
            _number("ap_a", "AP of model", "0 to 1"),
            _number("ap_b", "AP of other_model", "0 to 1"),
            _number("delta", "ap_b - ap_a"),
            _number("delta_low", "Lower end of the paired interval; NULL under 5 images", INTERVAL_UNIT),
            _number("delta_high", "Upper end of the paired interval; NULL under 5 images", INTERVAL_UNIT),
            _text("verdict", "Of other_model: better, worse or unclear; NULL without ground truth"),
        ),
    ),
    Table(
        "diagnoses",
        "diagnose",
        "class and cause",
        (
            RUN,
            RUN_ID,
            SPLIT,
            MODEL,
            *CLASS,
            Column("rank", pa.int32(), "1 is the likeliest cause of the class", required=True),
            _text("cause", "The cause's name", required=True),
            _number("confidence", "How far the evidence passes its threshold", "0 to 1"),
            _number("ap", "The class's AP; NULL without ground truth", "0 to 1"),
            _number("ap50", "The class's AP at IoU .5", "0 to 1"),
            _flag("is_weak", "False: diagnosed only because the configuration names the class"),
            _number(
                "d_ap", "AP regained if this alone were mended, at most so much where d_ap_is_ceiling; NULL if unknown"
            ),
            _flag(
                "d_ap_is_ceiling",
                "True: d_ap is AP regained at most, if nothing of the fault were left; how much is not known in"
                " advance. False: computed or measured. NULL where d_ap is",
            ),
            _text("counter_test", "confirmed, undecided or not_confirmed by `--confirm`; NULL where none was run"),
            _number("counter_test_ap", "AP with the remedy tried; NULL where none was run", "0 to 1"),
            _text("evidence", "The numbers used, as a JSON object", required=True),
            _text("sentence", "What is wrong, with its numbers", required=True),
            _text("remedy", "What to do, in a sentence", required=True),
            _text("remedy_config", "YAML that tune or clean runs; NULL where the mend is by hand"),
            _text(
                "remedy_pipeline",
                "The same as lines of the pipeline.config that dataset.pipeline states, and comments on what it has no"
                " field for; NULL where none is stated, or the mend is none of it",
            ),
        ),
    ),
    Table(
        "label_errors",
        "diagnose",
        "suspected box",
        (
            RUN,
            RUN_ID,
            MODEL,
            *IMAGE,
            _id("annotation_id", "The suspected annotation; NULL for a missing one"),
            _count("annotation_row", "Its position in its source file"),
            _text("source_file", "That source file; with annotation_row it names the row, as ids can collide"),
            *CLASS,
            _text("kind", "missing, spurious, wrong_class or bad_box", required=True),
            _number("score", "How suspicious", "0 to 1", required=True),
            *BOX,
            _id("suggested_category_id", "The class that the model's evidence suggests"),
            _text("suggested_category_name", "Its name"),
            *(_number(f"suggested_{side}", f"Suggested box: {side}", "px") for side in ("x", "y", "width", "height")),
            _text("evidence", "The numbers used, as a JSON object"),
        ),
    ),
    Table(
        "trials",
        "tune",
        "trial",
        (
            RUN,
            RUN_ID,
            TRIAL,
            _text("phase", "search, or proof on fresh seeds", required=True),
            _text("status", "completed, stopped (by the scheduler), failed or running", required=True),
            _count("seed", "Random seed"),
            _number("focal_alpha", "Focal loss alpha", "0 to 1"),
            _number("focal_gamma", "Focal loss gamma"),
            Column("freeze_units", pa.int32(), "Units frozen, from the stem upward"),
            _number("augmentation_strength", "0 none, 1 default, 2 strong; NULL where it is written out"),
            _number("oversample_factor", "Repeat factor of the focus classes' images"),
            _text("changes", "What differs from the baseline, by dotted name, as a JSON object"),
            _text("config", "Every train setting of the trial, as a JSON object", required=True),
            Column("epochs", pa.int32(), "Epochs finished"),
            Column("kept_epoch", pa.int32(), "The epoch that the trial is, whose weights are kept: see train.keep"),
            _number("seconds", "Wall time", "s"),
            _number("epoch_seconds", "Wall time an epoch; NULL before the first", "s"),
            _number("gpu_seconds", "GPUs held times wall time", "s"),
            _number("cost_share", "Share of the tuning's wall time", "0 to 1"),
            _number("objective", "Mean AP of the focus classes at kept_epoch, less the guard's penalty"),
            _number("last_objective", "The same after the last epoch"),
            _number("inference_ms", "Inference of a picture; NULL but of a search with tune.objective ap_time", "ms"),
            _flag("is_on_front", "No other trial is better and faster; NULL where none is timed"),
            _flag("is_baseline", "The configuration as given", required=True),
            _flag("is_best", "The winner", required=True),
            _text("error", "Why it failed"),
        ),
    ),
    Table(
        "trial_class_metrics",
        "tune",
        "trial, epoch and class",
        (
            RUN,
            RUN_ID,
            TRIAL,
            EPOCH,
            _flag("is_kept", "The epoch that the trial is; while it runs (tune/_partial) false", required=True),
            *CLASS,
            _number("ap", "COCO AP on the validation split", "0 to 1"),
            _number("ap50", "AP at IoU .5", "0 to 1"),
            _number("ap75", "AP at IoU .75", "0 to 1"),
            _number("class_loss", "Focal loss of the epoch, all classes"),
            _number("box_loss", "Huber loss of the epoch"),
            _number("seconds", "Wall time since the trial started", "s"),
        ),
    ),
    Table(
        "class_deltas",
        "tune",
        "class",
        (
            RUN,
            RUN_ID,
            *CLASS,
            _number("baseline_ap", "Mean AP of the baseline over the seeds", "0 to 1"),
            _number("best_ap", "Mean AP of the winner over the same seeds", "0 to 1"),
            _number("baseline_ap50", "The same at IoU .5", "0 to 1"),
            _number("best_ap50", "The same at IoU .5", "0 to 1"),
            _number("delta", "best_ap - baseline_ap"),
            _number("delta_low", "Lower end of the paired interval over seeds and images", "95%"),
            _number("delta_high", "Upper end of the paired interval over seeds and images", "95%"),
            Column("seeds", pa.int32(), "Fresh seeds that both were trained on"),
            _text("verdict", "better, worse or unclear"),
            _flag("is_focus", "A class that the tuning is for", required=True),
            _number("guard_risk", "Probability that the AP fell by more than tune.guard.max_drop", "0 to 1"),
            _flag("guard_kept", "guard_risk is under 2.5%, shared among the finalists"),
        ),
    ),
    Table(
        "edits",
        "clean",
        "changed annotation",
        (
            RUN,
            RUN_ID,
            *IMAGE,
            _id("annotation_id", "The annotation; for add the id it gets in the cleaned data set"),
            _count("annotation_row", "Its position in its source file; NULL for add"),
            _text("source_file", "That source file; with annotation_row it names the row, as ids can collide"),
            *CLASS,
            _text("action", "drop, clip, relabel, move, add or renumber", required=True),
            _text("before", "The annotation before, as JSON; NULL for add"),
            _text("after", "The annotation after, as JSON; NULL for drop"),
            _text("reason", "The rule or label error kind that asked for it", required=True),
            _text("reason_id", "finding_id, where a finding asked for it"),
        ),
    ),
    Table(
        "compared_classes",
        "compare",
        "class of two output folders, and their mean",
        (
            RUN,
            RUN_ID,
            *FOLDERS,
            SPLIT,
            *MAYBE_CLASS,
            _number("ap_earlier", "AP as the earlier folder has it, on all its images", "0 to 1"),
            _number("ap_later", "AP as the later folder has it, on all its images", "0 to 1"),
            _count("n_images", "Images with boxes of the class that both folders have"),
            _number("paired_earlier", "The earlier model's AP on these, by the later folder's annotations", "0 to 1"),
            _number("paired_later", "The later model's AP on these", "0 to 1"),
            _number("delta", "paired_later - paired_earlier; where no image is shared ap_later - ap_earlier"),
            _number("delta_low", "Lower end of the paired interval; NULL without shared images", INTERVAL_UNIT),
            _number("delta_high", "Upper end of the paired interval; NULL without shared images", INTERVAL_UNIT),
            _text("verdict", "Of the later folder: better, worse or unclear; NULL without an interval"),
        ),
    ),
    Table(
        "compared_causes",
        "compare",
        "class and cause of two output folders",
        (
            RUN,
            RUN_ID,
            *FOLDERS,
            SPLIT,
            *CLASS,
            _text("cause", "The cause's name", required=True),
            _text("change", "new, gone or stays", required=True),
            Column("rank_earlier", pa.int32(), "Its rank in the earlier folder"),
            Column("rank_later", pa.int32(), "Its rank in the later folder"),
            _number("confidence_earlier", "Its confidence in the earlier folder", "0 to 1"),
            _number("confidence_later", "Its confidence in the later folder", "0 to 1"),
        ),
    ),
    Table(
        "compared_findings",
        "compare",
        "rule, severity and split of two output folders",
        (
            RUN,
            RUN_ID,
            *FOLDERS,
            _text("rule", "The rule's code", required=True),
            Column("severity", pa.int8(), "0 info, 1 suspect, 2 warning, 3 error, 4 fatal", required=True),
            _text("severity_name", "The severity in words", required=True),
            _text("split", "The data split; NULL where it is about several"),
            _count("n_earlier", "Findings in the earlier folder"),
            _count("n_later", "Findings in the later folder"),
            _count("delta", "n_later - n_earlier"),
        ),
    ),
    Table(
        "compared_settings",
        "compare",
        "configuration key that differs",
        (
            RUN,
            RUN_ID,
            *FOLDERS,
            _text("key", "The key, dotted", required=True),
            _text("value_earlier", "Its value in the earlier folder; NULL where not set"),
            _text("value_later", "Its value in the later folder; NULL where not set"),
        ),
    ),
    Table(
        "compared_annotations",
        "compare",
        "annotation of a shared image that differs",
        (
            RUN,
            RUN_ID,
            *FOLDERS,
            SPLIT,
            _text("file_name", "The picture", required=True),
            _text("change", "added, removed, moved, relabelled, or relabelled and moved (from IoU .5)", required=True),
            *(
                column
                for when in ("earlier", "later")
                for column in (
                    _text(f"category_name_{when}", f"Its class in the {when} folder"),
                    *(
                        _number(f"{side}_{when}", f"Its box there: {side}", "px")
                        for side in ("x", "y", "width", "height")
                    ),
                )
            ),
        ),
    ),
    Table(
        "quarantine",
        "",
        "row or image left out",
        (
            RUN,
            RUN_ID,
            _text("stage", "The stage that left it out", required=True),
            _text("split", "The data split"),
            _id("image_id", "The image whose picture could not be read; NULL for a row of a file"),
            _text("source_file", "The file it came from"),
            _count("row", "Its position there, from 0; NULL for a whole file"),
            _text("reason", "Why, in a word", required=True),
            _text("detail", "The evidence"),
        ),
    ),
)

TABLES = {table.name: table for table in _TABLES}


@cache
def schema(name: str) -> pa.Schema:
    """The Arrow schema of the table ``name``.

    Raises:
        KeyError: there is no such table.
    """
    return TABLES[name].arrow


@cache
def empty(name: str) -> pa.Table:
    """The table ``name`` without rows."""
    return schema(name).empty_table()


def conform(table: pa.Table, name: str) -> pa.Table:
    """``table`` with exactly the columns, order, types and nullability of the table ``name``.

    Columns that allow NULL may be absent and are filled with NULL. Arrow itself accepts NULL in a
    non-nullable column; this does not.

    Raises:
        DetrayError: a required column is absent or holds NULL, an unknown column is there, or a
            value does not fit its type.
    """
    target = schema(name)
    unknown = [column for column in table.column_names if column not in target.names]
    if unknown:
        raise DetrayError(f"table {name} has no column {', '.join(unknown)}: see 'detray schema {name}'")
    columns = []
    for field in target:
        if field.name not in table.column_names:
            if not field.nullable and table.num_rows:
                raise DetrayError(f"table {name} lacks its required column {field.name}")
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DetrayError(f"table {name}, column {field.name}: {error}") from None
        if not field.nullable and column.null_count:
            raise DetrayError(f"table {name}, column {field.name}: {column.null_count} rows hold NULL where none may")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=target)


def from_columns(name: str, columns: dict[str, object], *, run: str) -> pa.Table:
    """The table ``name`` from a dictionary of equally long columns (arrays or lists), conformed.

    The column ``run`` is filled with ``run``; columns may be left out as `conform` allows.
    """
    target = schema(name)
    arrays = {
        key: value
        if isinstance(value, pa.Array | pa.ChunkedArray)
        else pa.array(value, target.field(key).type, from_pandas=True)  # NaN becomes NULL
        for key, value in columns.items()
    }
    rows = len(next(iter(arrays.values()))) if arrays else 0
    arrays.setdefault("run", pa.repeat(pa.scalar(run), rows) if rows else pa.array([], pa.string()))
    return conform(pa.table(arrays), name)


def from_rows(name: str, rows: Sequence[dict[str, object]], *, run: str) -> pa.Table:
    """The table ``name`` from a sequence of dictionaries, for tables of few rows.

    Raises:
        DetrayError: a row has a key that is no column.
    """
    unknown = {key for row in rows for key in row} - set(schema(name).names)
    if unknown:
        raise DetrayError(f"table {name} has no column {', '.join(sorted(unknown))}: see 'detray schema {name}'")
    return conform(pa.Table.from_pylist([{"run": run} | row for row in rows], schema(name)), name)


def as_json(table: Table) -> dict[str, object]:
    """``table`` as the JSON of ``detray schema --json``."""
    return {
        "table": table.name,
        "stage": table.stage or "any",
        "row": table.row,
        "columns": [
            {
                "name": column.name,
                "type": str(column.type),
                "unit": column.unit or None,
                "required": column.required,
                "description": column.description,
            }
            for column in table.columns
        ],
    }


def as_text(table: Table) -> str:
    """``table`` as Markdown: what ``detray schema`` prints and docs/tables.md holds."""
    place = f"`<output>/{table.stage or '<stage>'}/{table.name}/part-*.parquet`"
    lines = [f"## {table.name}", "", f"One row for each {table.row}; {place}", ""]
    lines += ["| column | type | unit | NULL | meaning |", "|---|---|---|---|---|"]
    for column in table.columns:
        kind = "list<struct<rule, field, observed>>" if column.name == "defects" else str(column.type)
        meaning = column.description.replace("|", "\\|")
        lines.append(f"| {column.name} | {kind} | {column.unit} | {'no' if column.required else 'yes'} | {meaning} |")
    return "\n".join(lines)
