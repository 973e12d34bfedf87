"""The configuration section ``audit``."""

from typing import Annotated, Any

from msgspec import Meta

from detray.keys import FLAG
from detray.settings import Section


class AuditSettings(Section, frozen=True):
    """Which rules judge, and their thresholds."""

    rules: Annotated[
        dict[str, dict[str, Any]], Meta(description="thresholds by rule code: {tiny-box: {min_side: 2}}")
    ] = {}
    disable: Annotated[
        tuple[str, ...], Meta(description="codes of rules that do not run", extra={FLAG: "--disable"})
    ] = ()
    detector: Annotated[
        bool,
        Meta(
            description="also judge by the detector and the augmentation that are configured (effective-size,"
            " augmentation-drop); off for plain files"
        ),
    ] = True
