import difflib

from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict
from detray.diagnose.evidence.inputs import Input


class AbsentInTraining(Cause):
    """The model never saw the class: no training box carries its name.

    Tells: the training annotations have no box of the class, by name.
    Source: a label map that differs between the splits, or a split by time or place.
    Example: `motorbike` in training, `motorcycle` in validation.
    Remedy: rename the class where it is named differently; else add training data.
    """

    name = "absent_in_training"
    group = TRAINING_DATA
    inputs = (Input.TRAINING_ANNOTATIONS,)
    explains = ("missed_objects", "no_detections")

    def judge(self, case: Case) -> Verdict | None:
        training = case.split.inputs.training
        if training is None or case.training.n_boxes or not len(case.given.boxes):
            return None
        known = set(case.split.names.values())
        strange = [name for k, name in training.names.items() if name not in known and training.shapes.boxes.get(k)]
        near = difflib.get_close_matches(case.name, strange, 1, 0.6)
        hint = f"; `{near[0]}` is there and not in the evaluated split" if near else ""
        return Verdict(
            confidence=1.0,
            d_ap=None,
            numbers={"n_train": 0, "n_ground_truth": len(case.given.boxes), "similar_name": near[0] if near else None},
            sentence=f"The training annotations hold no box of {case.label}{hint}.",
            remedy=f"Give `{near[0]}` and `{case.name}` one name, and train again."
            if near
            else "Add training pictures of the class, or split the data so that both splits hold it.",
        )
