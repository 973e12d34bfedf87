"""For which classes an image was looked through: what LVIS and Open Images say of images beside their boxes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Flags, Ints
from detray.evaluate.kernel.order import pair_codes

NEGATIVE = ("neg_category_ids", "image/neg_category_ids")
NOT_EXHAUSTIVE = ("not_exhaustive_category_ids", "image/not_exhaustive_category_ids")
VERIFIED = ("image/class/label",)
"""Attributes of images, as LVIS's JSON and as the TFRecords of the TF Object Detection API call them."""
GROUP_OF = "group_of"
_LIMIT = 1 << 63


@dataclass(frozen=True)
class ImageClasses:
    """Pairs of an image and a class ``[p]``, and the images that state any list at all, be it empty."""

    image: Ints
    category: Ints
    stated: Ints

    def has(self, image: Ints, category: Ints) -> Flags:
        """Whether each pair ``[n]`` is one of them."""
        known, asked = pair_codes(self.image, self.category, (image, category))
        return np.isin(asked, known)


def image_classes(images: pa.Table, keys: Sequence[str]) -> ImageClasses:
    """What the attributes ``keys`` of images list: ids of classes."""
    found: list[tuple[int, int]] = []
    stated = []
    for image, text in zip(images["image_id"].to_pylist(), images["attributes"].to_pylist(), strict=True):
        attributes = json.loads(text) if text and image is not None else {}
        lists = [attributes[key] for key in keys if key in attributes]
        if lists:
            stated.append(image)
        values = (value for part in lists for value in (part if isinstance(part, list) else [part]))
        found += [(image, value) for value in values if _is_id(value)]
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return ImageClasses(pairs[:, 0], pairs[:, 1], np.array(stated, np.int64))


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LIMIT <= value < _LIMIT


def marked_groups(annotations: pa.Table) -> Flags:
    """Boxes that are groups of objects, ``[n]``: crowds, and what TFRecords call group_of."""
    texts = annotations["attributes"].to_pylist()
    marked = [bool(text and GROUP_OF in text and _is_set(json.loads(text).get(GROUP_OF))) for text in texts]
    return tables.numpy(annotations, "is_crowd") | np.array(marked, np.bool_)


def _is_set(value: object) -> bool:
    return value in (1, True, "1", "true", "True")
