"""The configuration section ``report``."""

from typing import Annotated

from msgspec import Meta

from detray.keys import FLAG
from detray.settings import Section


class ReportSettings(Section, frozen=True):
    """What the page shows."""

    max_pictures: Annotated[
        int, Meta(ge=0, le=5000, description="pictures in the page at most", extra={FLAG: "--max-pictures"})
    ] = 200
    max_review: Annotated[
        int,
        Meta(ge=0, le=50_000, description="suspects, findings and misses on the review page at most; 0: no such page"),
    ] = 5000
