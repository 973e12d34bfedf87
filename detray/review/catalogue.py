"""The tools, listed: a further one is a file, its name here, and its test."""

from detray.review.tool import Tool
from detray.review.tools import coco, cvat, fiftyone, label_studio

TOOLS: tuple[Tool, ...] = (fiftyone.TOOL, label_studio.TOOL, cvat.TOOL, coco.TOOL)
