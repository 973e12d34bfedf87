"""``train.augmentation`` as data: each change of the training pictures by its strength and its probability."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from detray.settings import Section

Amount = Annotated[float, Meta(gt=0, le=1, description="factor between 1 - amount and 1 + amount")]


class Chance(Section, frozen=True):
    """A change that some of the pictures get."""

    p: Annotated[float, Meta(ge=0, le=1, description="share of the pictures that get it")] = 0.5


class Flip(Chance, frozen=True):
    """Mirrored pictures."""

    direction: Annotated[
        Literal["horizontal", "vertical", "both"], Meta(description="both: each drawn for itself, with p")
    ] = "horizontal"


class Rotate(Chance, frozen=True):
    """Turned about the centre; a box becomes that around the turned ellipse in it (Kalra et al., ICCV 2021)."""

    degrees: Annotated[float, Meta(gt=0, le=180, description="most, either way")] = 10.0


class Shift(Chance, frozen=True):
    """Moved, along both sides."""

    amount: Annotated[float, Meta(gt=0, le=0.5, description="most, as a share of the side")] = 0.1


class Scale(Chance, frozen=True):
    """Made smaller or larger about the centre, its aspect kept."""

    least: Annotated[float, Meta(ge=0.1, le=1, description="factor of the sides at least")] = 0.75
    most: Annotated[float, Meta(ge=1, le=4, description="factor of the sides at most")] = 1.33


class Shear(Chance, frozen=True):
    """Slanted, along both sides."""

    degrees: Annotated[float, Meta(gt=0, le=45, description="most, either way")] = 8.0


class Zoom(Chance, frozen=True):
    """Zoomed out: the picture somewhere on a larger grey ground, all its boxes kept (SSD, ECCV 2016)."""

    most: Annotated[float, Meta(gt=1, le=4, description="sides of the ground at most, in sides of the picture")] = 2.0


class Crop(Chance, frozen=True):
    """Zoomed in: a part of the picture that holds all its boxes, stretched to the whole input."""

    cut: Annotated[
        float,
        Meta(ge=0, lt=1, description="share of the area around all boxes that may be cut; 0: every box stays whole"),
    ] = 0.0


class Brightness(Chance, frozen=True):
    """Darker or lighter."""

    amount: Amount = 0.2


class Contrast(Chance, frozen=True):
    """Flatter or steeper."""

    amount: Amount = 0.2


class Saturation(Chance, frozen=True):
    """Paler or more colourful."""

    amount: Amount = 0.2


class Hue(Chance, frozen=True):
    """Other colours."""

    amount: Annotated[float, Meta(gt=0, le=0.5, description="most, as a share of the colour circle")] = 0.02


class Blur(Chance, frozen=True):
    """Blurred by a Gaussian."""

    sigma: Annotated[float, Meta(gt=0, le=20, description="most, px of the input")] = 1.5


class Noise(Chance, frozen=True):
    """Gaussian noise, of each pixel and channel."""

    amount: Annotated[float, Meta(gt=0, le=1, description="largest standard deviation, as a share of white")] = 0.05


class Mosaic(Chance, frozen=True):
    """Four pictures in one (YOLOv4)."""

    cell: Annotated[
        float, Meta(ge=0.5, le=1, description="side of each, as a share of the input's; .5: all of them are whole")
    ] = 0.6


class CopyPaste(Chance, frozen=True):
    """Objects of another picture set somewhere into this one (Ghiasi et al., CVPR 2021).

    They are cut along their outlines where the annotations have these, else along their boxes.
    """

    objects: Annotated[int, Meta(ge=1, le=100, description="at most, of one picture")] = 3
    classes: Annotated[tuple[str, ...], Meta(description="names of classes that are pasted; empty: all")] = ()


class AugmentationSettings(Section, frozen=True):
    """Which changes the training pictures get: first those that take several pictures, then in the order in which they
    stand here."""

    copy_paste: Annotated[
        CopyPaste | None,
        Meta(description="objects of other pictures, cut along outlines where there are some, else along boxes"),
    ] = None
    mosaic: Annotated[Mosaic | None, Meta(description="four pictures in one")] = None
    flip: Annotated[Flip | None, Meta(description="mirrored pictures")] = None
    rotate: Annotated[Rotate | None, Meta(description="turned pictures")] = None
    shift: Annotated[Shift | None, Meta(description="moved pictures")] = None
    scale: Annotated[Scale | None, Meta(description="smaller or larger, about the centre")] = None
    shear: Annotated[Shear | None, Meta(description="slanted pictures")] = None
    zoom: Annotated[Zoom | None, Meta(description="zoomed out onto a larger ground")] = None
    crop: Annotated[Crop | None, Meta(description="a part that holds the boxes")] = None
    brightness: Annotated[Brightness | None, Meta(description="darker or lighter")] = None
    contrast: Annotated[Contrast | None, Meta(description="flatter or steeper")] = None
    saturation: Annotated[Saturation | None, Meta(description="paler or more colourful")] = None
    hue: Annotated[Hue | None, Meta(description="other colours")] = None
    blur: Annotated[Blur | None, Meta(description="out of focus")] = None
    noise: Annotated[Noise | None, Meta(description="noise of a sensor")] = None

    def __str__(self) -> str:
        """Its changes, each with what differs from how it is where nothing more is stated."""
        return ", ".join(_in_words(name, one) for name, one in as_stated(self).items()) or "none"


def _in_words(name: str, stated: dict[str, Any]) -> str:
    amounts = [f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in stated.items()]
    return name.replace("_", " ") + (f" ({', '.join(amounts)})" if amounts else "")


def as_stated(chosen: AugmentationSettings) -> dict[str, dict[str, Any]]:
    """As a configuration states it: its changes, and of each what differs from its defaults."""
    found: dict[str, dict[str, Any]] = {}
    for name in chosen.__struct_fields__:
        change = getattr(chosen, name)
        if change is not None:
            usual = type(change)()
            found[name] = {
                key: value for key in change.__struct_fields__ if (value := getattr(change, key)) != getattr(usual, key)
            }
    return found


Policy = Literal["none", "default", "strong"]
"""Mixtures that have a name."""

WRITTEN_OUT: dict[Policy, AugmentationSettings] = {
    "none": AugmentationSettings(),
    "default": AugmentationSettings(
        flip=Flip(),
        brightness=Brightness(p=0.8),
        contrast=Contrast(p=0.8),
        saturation=Saturation(p=0.8),
        hue=Hue(p=0.8),
    ),
    "strong": AugmentationSettings(
        flip=Flip(direction="both"),
        shift=Shift(p=0.7),
        scale=Scale(p=0.7),
        brightness=Brightness(p=0.9, amount=0.4),
        contrast=Contrast(p=0.9, amount=0.4),
        saturation=Saturation(p=0.9, amount=0.4),
        hue=Hue(p=0.9, amount=0.05),
    ),
}
"""What a mixture becomes once one of its changes is set: then each colour is drawn for itself, and not all together."""


def written_out(chosen: Policy | AugmentationSettings) -> AugmentationSettings:
    """The changes of a mixture."""
    return chosen if isinstance(chosen, AugmentationSettings) else WRITTEN_OUT[chosen]


def loses_boxes(chosen: Policy | AugmentationSettings) -> bool:
    """Whether boxes may leave the picture, or be cut or covered; where it is only mirrored and coloured none can."""
    found = written_out(chosen)
    movers = (found.rotate, found.shift, found.scale, found.shear, found.mosaic, found.copy_paste)
    return any(mover is not None and mover.p > 0 for mover in movers) or (
        found.crop is not None and found.crop.p > 0 and found.crop.cut > 0
    )
