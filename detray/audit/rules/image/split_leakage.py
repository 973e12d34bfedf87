"""A picture of one split stands in another, too.

Failure: the model is tested on what it was trained on: the measured AP is too high, and tuning on it selects what
remembers best.
Number: an error where the files' content is equal; a warning where the difference hashes differ in at most 3 of 64
bits; a suspicion where two names differ in their last number only, after a part that has digits of its own (frames of
one clip or burst), and the hashes in at most 12 bits. The confidence of hashes is that of near-duplicate-image. Where
no image folder is stated: an error where two splits take an image from the same annotation file, a suspicion where only
its file name is equal.
Source: Barz and Denzler, "Do We Train on Test Data?", J. Imaging 6 (2020); Kapoor and Narayanan, "Leakage and the
reproducibility crisis", Patterns 4 (2023).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints, Rows
from detray.audit.likeness import BURST, EXACT, NEAR
from detray.audit.rule import ERROR, SUSPECT, CollisionRule, Hits, Keys, LikenessRule
from detray.audit.text import hash_text, hash_texts, integer, join, mix
from detray.audit.view import View


@dataclass(frozen=True, kw_only=True)
class LeakageRule(CollisionRule, LikenessRule):
    """Judges pictures by those that look like them, and where none is at hand by their names."""


def keys(view: View) -> Keys:
    """Of each image that has a name: under its row its entry, under its row and the number of rows its name."""
    rows = np.flatnonzero(pc.is_valid(view.images["file_name"]).to_numpy())
    name = view.file_name_hashes[rows]
    entry = mix(hash_text("entry"), hash_texts(view.images["source_file"])[rows], name)
    return Keys(np.concatenate([rows, rows + view.images.num_rows]), np.concatenate([entry, name]))


def _describe(view: View, rows: Rows, n: Ints) -> Hits:
    by_name, rows = np.divmod(rows, max(view.images.num_rows, 1))
    rows, first = np.unique(rows, return_index=True)  # an entry before its name
    unseen = pc.is_null(view.images["path"]).to_numpy()[rows]
    rows, first = rows[unseen], first[unseen]
    by_name = by_name[first]
    words = pa.array(["listed from one annotation file", "of one file name"]).take(pa.array(by_name))
    return Hits(
        rows,
        "images",
        observed=join(words, " in ", integer(n[first]), " splits"),
        expected="splits that share no picture, or image folders that tell them apart (dataset.splits.NAME.images)",
        severity=np.where(by_name, SUSPECT, ERROR).astype(np.int8),
        confidence=np.where(by_name, 0.5, 1.0),
        share=words,
    )


RULE = LeakageRule(
    code="split-leakage",
    family="image",
    severity=ERROR,
    scope="image",
    problem="the picture stands in another split, too",
    expected="splits that share no picture",
    fix="divide anew, scenes together: detray split with the same arguments; or move each scene into one split",
    doc=__doc__,
    kinds=(EXACT, NEAR, BURST),
    across_splits=True,
    keys=keys,
    describe=_describe,
)
