from detray.diagnose.causes.mapping.box_format import BoxFormat
from detray.diagnose.counter_tests.counter_test import CounterTest


class BoxesConverted(CounterTest):
    """Evaluate with the boxes converted."""

    cause = BoxFormat.name
    words = "the boxes converted"
    mends = ("reading", "class_readings")
