"""What a proof is judged on: pictures that neither the search nor the stopping of trainings saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detray.arrays import Ints
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import DetrayError, UsageError
from detray.flow.data import Data
from detray.store import ShardKey
from detray.tune.cut import cut
from detray.tune.settings import TuneSettings

TEST = "test"
PROOF = "proof"
"""The part that is proven on, among `ProofStage.splits`, where it is not val itself."""

Part = tuple[Sequence[ShardKey], Ints | None]
"""The shards of a split, and the ids of the images that count; None: all."""


@dataclass(frozen=True)
class ProofStage:
    """What is learnt from, searched on and proven on; ``name`` of the last in words, and ``notes`` on it."""

    splits: Mapping[str, Part]
    name: str
    notes: Sequence[str] = ()


def proof_stage(data: Data, settings: TuneSettings) -> ProofStage:
    """As ``settings.proof_split`` says.

    Raises:
        UsageError: that split is not there.
    """
    parts: dict[str, Part] = {name: (data.shards([name]), None) for name in (TRAIN, VAL)}
    named = settings.proof_split
    if named == VAL or not settings.proof_seeds:
        return ProofStage(parts, VAL)
    if named == TRAIN:
        raise UsageError("tune.proof_split is train, which the trials learn from; choose another")
    keys = data.shards([named or TEST])
    if keys:
        return ProofStage(parts | {PROOF: (keys, None)}, named or TEST)
    if named is not None:
        raise UsageError(f"tune.proof_split is {named}, and dataset.splits has no pictures of that name")
    search, proof, by = cut(data, parts[VAL][0])
    whole = parts[VAL][0]
    note = (
        f"there is no split test: {len(proof)} of the {len(search) + len(proof)} pictures of val are kept for the"
        f" proof, and the search is judged on the others; pictures alike, by {by}, are on one side"
    )
    return ProofStage(parts | {VAL: (whole, search), PROOF: (whole, proof)}, "a part of val", [note])


def require_boxes(
    focus: Sequence[int], classes: Mapping[int, str], found: Mapping[str, Sequence[int]], stage: ProofStage
) -> None:
    """Refuse a focus class without a box where it is judged; ``found`` are the classes by part.

    Raises:
        DetrayError: naming class and split.
    """
    for part, there in found.items():
        absent = [classes[number] for number in focus if number not in there]
        if not absent:
            continue
        is_cut = stage.splits[VAL][1] is not None
        where = f"split {VAL}" if part == VAL and not is_cut else f"split {stage.name}"
        if is_cut:
            raise DetrayError(
                f"the class {absent[0]} has boxes in too few scenes of the split val to search on some and prove on"
                " others; add a split test, or set tune.proof_split to val, which proves less"
            )
        raise DetrayError(
            f"the class {absent[0]} has no box in the {where}, so no AP to tune;"
            " leave it out of tune.focus or add boxes"
        )
