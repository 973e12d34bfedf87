"""Which classes are weak."""

from collections.abc import Mapping

from detray.diagnose.settings import DiagnoseSettings


def is_weak(ap: float | None, ap50: float | None, settings: DiagnoseSettings) -> bool:
    """Whether AP or AP50 is unknown or below the settings'."""
    return ap is None or ap50 is None or ap < settings.weak_ap_below or ap50 < settings.weak_below


def weak_classes(
    aps: Mapping[int, tuple[float | None, float | None]], names: Mapping[int, str], settings: DiagnoseSettings
) -> list[int]:
    """Classes, of those that are named or have boxes, without AP, with AP or AP50 below the settings',
    or named in them.

    Args:
        aps: AP and AP50 of the classes that have boxes.
        names: all classes.
        settings: what counts as weak.
    """
    nothing = (None, None)
    return [
        category
        for category in sorted({*names, *aps})
        if is_weak(*aps.get(category, nothing), settings) or names.get(category) in settings.classes
    ]
