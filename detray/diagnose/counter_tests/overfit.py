from detray.diagnose.causes.training.overfit import Overfit
from detray.diagnose.counter_tests.train_eval_shift import AsInTraining


class NotOverfit(AsInTraining):
    """Detect again in a sample of the pictures, made as bright and as rich in contrast as those of training: AP that
    comes back by it was lost to the pictures, and not to a model that knows those of training by heart.
    """

    cause = Overfit.name
    refutes = True
