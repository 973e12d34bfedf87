"""The search for faults of a whole split, in the order in which they hide each other."""

from collections.abc import Callable, Iterator

from detray.arrays import Ints
from detray.diagnose import thresholds as t
from detray.diagnose.mapping import reading_of_all
from detray.diagnose.pairing import Listing, Named, Pairing, find_pairing, recall_of
from detray.diagnose.repairs import Faults
from detray.diagnose.scene import Scene
from detray.evaluate.kernel import Detections, GroundTruth


def find_split_faults(
    sample: Scene,
    listing: Listing,
    named: Named,
    fetch: Callable[[Ints], Detections],
    boxes: Callable[[], Iterator[GroundTruth]],
) -> tuple[Faults, Pairing | None]:
    """Faults of all boxes or of all image ids, and how to rename the images where that is known.

    Args:
        sample: some images, as `pairing.sample_images` chooses them.
        listing, named, fetch, boxes: as `pairing.find_pairing` takes them.
    """
    if recall_of(sample.gt, sample.dt) > 1 - t.RECALL_RAISE:
        return Faults(), None
    reading = reading_of_all(sample)
    if reading is not None:
        return Faults(reading=reading), None
    found = find_pairing(sample.gt, listing, named, fetch, boxes)
    if found is None:
        return Faults(), None
    fault, pairing = found
    return Faults(pairing=fault), pairing
