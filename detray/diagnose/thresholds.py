"""Every threshold of the diagnosis, named once, with where its value comes from."""


class Threshold(float):
    """A number with the source of its value, for the page that lists them."""

    source: str

    def __new__(cls, value: float, source: str) -> "Threshold":
        made = super().__new__(cls, value)
        made.source = source
        return made


_TIDE = "TIDE (Bolya et al., ECCV 2020), section 3"
_SUITE = "chosen on the tuning seeds of the planted-cause suite, reported on others (benchmarks/diagnose.py)"

HIT_IOU = Threshold(0.5, "COCO's lowest IoU threshold")
LOOSE_IOU = Threshold(0.1, f"below it a detection is on background: {_TIDE}")
TIGHT_IOU = Threshold(0.75, "COCO's AP75")

NIL_RECALL = Threshold(0.1, f"recall that chance overlaps alone can give in crowded scenes: {_SUITE}")
WORKING_RECALL = Threshold(0.3, f"a class with this recall works for itself: {_SUITE}")
CONFIDENT_QUANTILE = Threshold(0.1, "a detection is confident if it scores above this share of its class's true ones")

REMAP_SHARE = Threshold(0.1, f"share of a class's boxes that the other class must hit: {_SUITE}")
REMAP_DOMINANCE = Threshold(0.4, f"share of the covered boxes that go to one other class: {_SUITE}")
SOURCE_DOMINANCE = Threshold(0.7, f"or share of the id's detections that sit on the class's boxes: {_SUITE}")
RULE_EXCEPTIONS = Threshold(
    0.2, "boxes labelled as the ids stand, for each that another numbering of all classes explains"
)
RECALL_RAISE = Threshold(0.4, "recall that another reading of the data must add; noise adds under .1 in the suite")
MIN_HITS = Threshold(3, "boxes that another reading must newly hit: fewer are chance")

DOMINANCE_RATIO = Threshold(3, f"times the next class, the same beside scattered ones: {_SUITE}")
COVERED_SHARE = Threshold(0.15, f"share of the boxes covered by another class: {_SUITE}")
CONFUSION_DOMINANCE = Threshold(0.6, f"share of them that one class covers, else the labels are scattered: {_SUITE}")
RECEIVED_SHARE = Threshold(0.2, f"share of the confident detections that sit on other classes: {_SUITE}")
SCATTER_CLASSES = Threshold(
    3, "classes from which confusions count as scattered: two can be alike, three at once are not"
)

LOOSE_SHARE = Threshold(0.15, f"share of the boxes that are only hit loosely: {_SUITE}")
DUPLICATE_SHARE = Threshold(0.3, f"duplicates for each true detection: {_SUITE}")
UNLABELLED_SHARE = Threshold(0.2, f"confident detections where no box stands, for each true one: {_SUITE}")
BAD_AUC = Threshold(0.4, "below it true detections mostly score less than false ones; chance is .5")
HIGH_RECALL = Threshold(0.5, "recall from which ranking, not finding, decides AP50")
BACKGROUND_SHARE = Threshold(
    0.3, f"false detections on background that outscore true ones, for each true one: {_SUITE}"
)
MISSED_SHARE = Threshold(0.2, f"share of the boxes that nothing touches: {_SUITE}")

FEW_BOXES = Threshold(10, "boxes in the evaluated split: LVIS calls classes with at most 10 images rare (CVPR 2019)")

UNKNOWN_IMAGES = Threshold(0.5, "share of detections of unknown images, and of images without detections: a majority")
MIXED_UP_RECALL = Threshold(0.6, f"boxes of another image that an image's detections hit: {_SUITE}")
COPY_IOU = Threshold(0.3, f"a loose detection overlapping a found box by it is a copy, below it a neighbour: {_SUITE}")
LIKE_TRUE_UPPER_AUC = Threshold(0.6, "the same among the scores above the median of the true ones; chance is .5")
LIKE_TRUE_AUC = Threshold(0.7, f"above it false detections score clearly less than true ones: {_SUITE}")
DUPLICATE_GAIN = Threshold(0.3, f"share of the AP that all false detections cost: {_SUITE}")
LEAST_GAIN = Threshold(0.01, "AP below which a mend is not worth a place above other causes")
LEAST_SHARE = Threshold(0.02, "the same as a share of an AP that is below .5")
MIN_GAIN = Threshold(0.05, "AP that a change of seed alone moves (measured on a rare class)")
FEW_TRAINING_BOXES = Threshold(20, "boxes in training: twice the 10 images of what LVIS calls rare (CVPR 2019)")
DEPRESSED_POSITION = Threshold(
    0.15, f"place of the class's median true score among the other classes' true scores: {_SUITE}"
)
ONE_KIND = Threshold(0.7, f"share of the outscoring false detections that are of one kind: {_SUITE}")
UNTIGHT_SHARE = Threshold(0.6, f"share of true detections that fail at IoU .75: {_SUITE}")
HIGH_CUT = Threshold(0.2, f"lowest score of a class: exporters keep .05 or less, demos cut at .3 to .7: {_SUITE}")
CUT_PRECISION = Threshold(0.8, f"precision of what a cut leaves: {_SUITE}")
CUT_MISSED_SHARE = Threshold(0.2, f"share of the boxes that nothing touches: {_SUITE}")
SAME_CUT = Threshold(0.02, f"lowest scores this near are one cut: {_SUITE}")
CUT_CHANCE = Threshold(0.01, "the usual level of a test: chance that true scores all lie above the cut")
COCO_CAP = Threshold(100, "detections an image and class that COCO takes")
CAPPED_IMAGES = Threshold(0.1, f"share of the images that have exactly the highest number of detections: {_SUITE}")
CAP_RECALL_GAP = Threshold(0.2, f"recall lower in images at the cap: {_SUITE}")
CAPPED_MISSED_SHARE = Threshold(0.5, "most of the missed boxes")
AS_GOOD = Threshold(0.97, f"a usual input size is taken if it hits this share of what the best size hits: {_SUITE}")
MIXED_UP_LEAD = Threshold(0.3, f"by which the best other image must fit better than the second best: {_SUITE}")
WRONG_SHARE = Threshold(
    0.2, f"share of the boxes, or of the confident detections, that contradict the labels: {_SUITE}"
)
SCATTER_WORKING = Threshold(0.5, f"share of the contradictions that come from classes that work: {_SUITE}")
FLAGGED_SHARE = Threshold(0.05, "findings of loose boxes for each box: clean data has under .01 in the suite")
FORGOTTEN = Threshold(0.1, "AP lost against the base model: twice what a change of seed moves")
FORGOTTEN_AP50 = Threshold(0.2, "the same of AP50, which a change of seed moves by .08 (measured on a rare class)")
FORGOTTEN_SHARE = Threshold(2 / 3, "AP50 left of the base model's: a third is more than a change of seed moves")
ABOVE_CLUTTER = Threshold(2, f"times the false detections that the classes that work have at such scores: {_SUITE}")
SHIFTED = Threshold(0.3, f"Kolmogorov-Smirnov distance above that of the other classes: {_SUITE}")
SHIFT_BOXES = Threshold(8, "boxes on each side for a distribution to be told")
SMALL_SIDE = Threshold(32, "COCO's small objects, side in pixels")
SMALL_LOST_SHARE = Threshold(0.25, f"share of the boxes that nothing touches: {_SUITE}")
SIZE_AUC = Threshold(0.75, f"chance that a found box is larger than a lost one: {_SUITE}")
SIZE_ERRORS = Threshold(2.5, "standard errors by which it must lie above chance: six false calls in a thousand")
BY_SIZE_ALONE = Threshold(0.9, f"the same from which the size decides and not the score: {_SUITE}")
SIZE_RECALL_GAP = Threshold(0.4, f"recall of the larger boxes above that of the smaller: {_SUITE}")
RARE_SHARE = Threshold(0.2, f"boxes for each box of the median class: {_SUITE}")
LEARNT_AP50 = Threshold(0.5, "diagnose.weak_below: a class below it on its training pictures is not learnt")
OVERFIT_GAP = Threshold(0.3, f"AP50 in training above AP50 here; a healthy model loses under .2: {_SUITE}")
LISTED = Threshold(0.01, "chance below which a suspected label error is not worth a look")
NOISY_SHARE = Threshold(0.4, f"the same where the audit confirms loose boxes: {_SUITE}")
FEW_REST = Threshold(0.2, f"share of the boxes in images below the cap that is too small to compare with: {_SUITE}")
DEPRESSED_CHANCE = Threshold(0.001, "one false call in a thousand classes")
DUPLICATE_MANY = Threshold(0.5, f"confident duplicates for each true detection: {_SUITE}")
OWN_CUT = Threshold(0.1, f"lowest score of a class above that of the others: {_SUITE}")
WRONG_OF_ALL = Threshold(0.12, f"share of all boxes of the class: {_SUITE}")
SPURIOUS_SHARE = Threshold(
    0.03, "boxes that mark nothing; of ten test sets 3.3% of the labels were wrong (Northcutt et al., NeurIPS 2021)"
)
WRONG_BOXES = Threshold(5, "contradictions from which several classes are no accident")
RARE_CHANCE = Threshold(0.06, "the same for a class that is known to be rare: few true detections tell little")
RAISE_FROM_NIL = Threshold(
    0.25, f"recall that another reading must add where there is none; noise adds under .15: {_SUITE}"
)
EXPLAINED_SHARE = Threshold(0.5, "a symptom is explained if at least half of its boxes or detections are")
SPREAD_CLASSES = Threshold(4, "classes from which the spread of something over the classes can be told")
SPREAD_DEVIATIONS = Threshold(1.5, f"standard deviations below the mean, more where few classes tell: {_SUITE}")
FAR_BELOW_POSITION = Threshold(0.2, f"place at which a median that low is low for the class: {_SUITE}")
FAR_BELOW = Threshold(0.5, f"share of the median true score of the classes that work: {_SUITE}")
CHANCE_ERRORS = Threshold(3, "standard errors beyond chance: one false call in a thousand classes")
CUT_DETECTIONS = Threshold(50, "detections from which the end of their scores can be judged")
CUT_STEP = Threshold(0.05, f"share of the range of the scores that is their lowest bit: {_SUITE}")
CUT_PILE = Threshold(0.02, f"share of all detections in the lowest bit of a cut range: {_SUITE}")
CUT_PILE_RATIO = Threshold(0.4, f"detections in the lowest bit for each in the next: {_SUITE}")
CUT_DEPTH = Threshold(0.8, f"depth of the scores below their median, for each of the usual depth: {_SUITE}")
CUT_POSITION = Threshold(
    0.5, f"place of the lowest score among the true ones of other classes: no class is that easy and missed: {_SUITE}"
)
CUT_TAIL = Threshold(0.5, f"length of the lower tail of the true scores, for each of the usual length: {_SUITE}")
CUT_ALIKE = Threshold(1.5, f"times the share of boxes that the median class misses: {_SUITE}")
LIGHT_SHARE = Threshold(0.25, "share of the AP that the costliest cause costs: below it a cause is not what matters")
TIGHTER = Threshold(0.2, f"share of untight true detections beyond that of the classes that work: {_SUITE}")
AS_TIGHT = Threshold(0.02, "IoU by which medians differ by chance")
TRUE_COVER_IOU = Threshold(0.65, f"median IoU of detections that found the object: by chance it is .5 to .6: {_SUITE}")
SKIPPED_DRAWN = Threshold(5, "images with boxes from which it can be told how many a class has in one")
SKIPPED_NUMBER = Threshold(0.3, f"chance, beyond .5, that an image with boxes holds more than one without: {_SUITE}")
SKIPPED_APART = Threshold(0.2, f"Kolmogorov-Smirnov distance of scores that are told apart: {_SUITE}")
OTHER_NUMBER = Threshold(0.2, f"the same of SKIPPED_NUMBER, where it is beyond chance: {_SUITE}")
MORE_THERE = Threshold(1, f"standard errors beyond chance from which detections stand where no box is: {_SUITE}")
