"""What the settings of an augmentation are in Albumentations."""

import os
from typing import Any

from detray.detectors.augmentation.settings import AugmentationSettings, Flip, Policy
from detray.errors import DetrayError

VERSION = "2.0.8"
"""The last release under the MIT licence; later ones under this import name are AGPL."""

GROUND = 114
"""Grey of what lies beyond the picture."""

UNCHANGED = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}


def albumentations() -> Any:
    """The library, at the release that the settings are made for.

    Raises:
        DetrayError: another one is installed.
    """
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network at import
    import albumentations

    if albumentations.__version__ != VERSION:
        raise DetrayError(
            f"albumentations {albumentations.__version__} is installed but detray runs with {VERSION}, the last one"
            f" under the MIT licence; pip install albumentations=={VERSION}, or set train.augmentation to none"
        )
    return albumentations


def transforms(library: Any, chosen: Policy | AugmentationSettings, height: int, width: int) -> list[Any]:
    """The changes of one picture of ``height`` x ``width`` px, in their order; those that take several are not here."""
    if isinstance(chosen, AugmentationSettings):
        made = [*_flips(library, chosen.flip), *_moves(library, chosen, height, width), *_looks(library, chosen)]
        return [*made, library.NoOp()]  # it takes boxes: of colours alone the library would warn
    if chosen == "none":
        return []
    if chosen == "default":
        return [
            library.HorizontalFlip(p=0.5),
            library.ColorJitter(
                brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.02, 0.02), p=0.8
            ),
        ]
    return [
        library.HorizontalFlip(p=0.5),
        library.VerticalFlip(p=0.5),
        library.Affine(scale=(0.75, 1.33), translate_percent=(-0.1, 0.1), fill=GROUND, p=0.7),
        library.ColorJitter(
            brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.05, 0.05), p=0.9
        ),
    ]


def _flips(library: Any, flip: Flip | None) -> list[Any]:
    if flip is None:
        return []
    kinds = {"horizontal": (library.HorizontalFlip,), "vertical": (library.VerticalFlip,)}
    return [kind(p=flip.p) for kind in kinds.get(flip.direction, (library.HorizontalFlip, library.VerticalFlip))]


def _moves(library: Any, chosen: AugmentationSettings, height: int, width: int) -> list[Any]:
    made = []
    if turn := chosen.rotate:
        ends = (-turn.degrees, turn.degrees)
        made.append(library.Affine(rotate=ends, rotate_method="ellipse", fill=GROUND, p=turn.p))
    if shift := chosen.shift:
        made.append(library.Affine(translate_percent=(-shift.amount, shift.amount), fill=GROUND, p=shift.p))
    if scale := chosen.scale:
        made.append(library.Affine(scale=(scale.least, scale.most), keep_ratio=True, fill=GROUND, p=scale.p))
    if shear := chosen.shear:
        made.append(library.Affine(shear=(-shear.degrees, shear.degrees), fill=GROUND, p=shear.p))
    if zoom := chosen.zoom:
        made.append(library.CropAndPad(percent=(0, (zoom.most - 1) / 2), fill=GROUND, p=zoom.p))
    if crop := chosen.crop:
        made.append(library.RandomSizedBBoxSafeCrop(height, width, erosion_rate=crop.cut, p=crop.p))
    return made


def _looks(library: Any, chosen: AugmentationSettings) -> list[Any]:
    made = []
    for name in ("brightness", "contrast", "saturation", "hue"):
        if change := getattr(chosen, name):
            middle = UNCHANGED[name][0]
            ends = (middle - change.amount, middle + change.amount)
            made.append(library.ColorJitter(**UNCHANGED | {name: ends}, p=change.p))
    if blur := chosen.blur:
        made.append(library.GaussianBlur(blur_limit=0, sigma_limit=(0, blur.sigma), p=blur.p))
    if noise := chosen.noise:
        made.append(library.GaussNoise(std_range=(0, noise.amount), p=noise.p))
    return made
