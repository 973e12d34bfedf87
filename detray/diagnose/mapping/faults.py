"""The search for faults of a whole split, in the order in which they hide each other."""

from collections.abc import Callable, Iterator

from detray.arrays import Ints
from detray.diagnose.image_set import ImageSet
from detray.diagnose.mapping.box_encoding import RECALL_RAISE
from detray.diagnose.mapping.formats import reading_of_all
from detray.diagnose.mapping.pairing import Listing, Named, Pairing, find_pairing, recall_of
from detray.diagnose.mapping.repairs import MappingFaults
from detray.evaluate.kernel import Detections, GroundTruth


def find_split_faults(
    sample: ImageSet,
    listing: Listing,
    named: Named,
    fetch: Callable[[Ints], Detections],
    boxes: Callable[[], Iterator[GroundTruth]],
) -> tuple[MappingFaults, Pairing | None]:
    """Faults of all boxes or of all image ids, and how to rename the images where that is known.

    Args:
        sample: some images, as `pairing.sample_images` chooses them.
        listing, named, fetch, boxes: as `pairing.find_pairing` takes them.
    """
    if recall_of(sample.gt, sample.dt) > 1 - RECALL_RAISE:
        return MappingFaults(), None
    reading = reading_of_all(sample)
    if reading is not None:
        return MappingFaults(reading=reading), None
    found = find_pairing(sample.gt, listing, named, fetch, boxes)
    if found is None:
        return MappingFaults(), None
    fault, pairing = found
    return MappingFaults(pairing=fault), pairing
