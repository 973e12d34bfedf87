"""Label maps: which number means which class."""

from detray.formats.label_map.entries import LabelMap, problems_of
from detray.formats.label_map.pbtxt import write_label_map
from detray.formats.label_map.read import read_label_map, stated_classes

__all__ = ["LabelMap", "problems_of", "read_label_map", "stated_classes", "write_label_map"]
