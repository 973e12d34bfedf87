"""Label maps: which number means which class."""

from detray.formats.label_map.entries import LabelMap, problems_of
from detray.formats.label_map.pbtxt import write_label_map
from detray.formats.label_map.read import read_category_map, read_label_map

__all__ = ["LabelMap", "problems_of", "read_category_map", "read_label_map", "write_label_map"]
