"""What a file or folder of no known format looks like, and what to do with it."""

import re
from collections import Counter
from itertools import islice
from pathlib import Path

from detray.files import PICTURE_SUFFIXES, open_file
from detray.formats.source import locate

_HEAD_BYTES = 1 << 16
_MAX_FILES = 10_000
_MAX_NAMED = 8
_MAX_TEXT = 80
_BINARY = {
    b"PK\x03\x04": ("a ZIP archive", "unpack it"),
    b"\x89PNG": ("a picture", "give the annotations, and the folder of pictures with --images"),
    b"\xff\xd8\xff": ("a picture", "give the annotations, and the folder of pictures with --images"),
    b"\x89HDF": ("an HDF5 file", "a model goes to detector.path, annotations here"),
    b"\x93NUMPY": ("a NumPy array", "write the boxes as COCO JSON"),
    b"\x80": ("a Python pickle", "pickles are not read: write the boxes as COCO JSON"),
    b"\x1f\x8b": ("GZIP-compressed", "decompress it (gunzip)"),
}
_CONVERT = "convert it to one of these, or state its format with --format"


def described(path: Path) -> str:
    """What was seen of the content, and what to do, in words."""
    seen, to_do = _folder(path) if path.is_dir() else _file(path)
    return f"it is {seen}: {to_do}"


def _folder(path: Path) -> tuple[str, str]:
    here = (str(path.resolve()),)  # what a link leads to elsewhere is not shown
    entries = islice(path.iterdir(), _MAX_FILES)
    files = [entry for entry in entries if entry.is_file() and locate(str(path), entry.name, here)]
    suffixes = Counter(sorted(entry.suffix.lower() or "(no suffix)" for entry in files))
    if not files:
        return "a folder of folders", "give the folder or file that holds the annotations"
    named = ", ".join(f"{n} {suffix}" for suffix, n in suffixes.most_common(_MAX_NAMED))
    if all(suffix in PICTURE_SUFFIXES for suffix in suffixes):
        return f"a folder of pictures ({named})", "give the annotations, and this folder with --images"
    other = next(entry for entry in sorted(files) if entry.suffix.lower() not in PICTURE_SUFFIXES)
    seen, to_do = _file(other)
    return f"a folder with {named}, and {other.name} is {seen}", to_do


def _file(path: Path) -> tuple[str, str]:
    with open_file(path) as file:
        head = file.read(_HEAD_BYTES)
    for magic, words in _BINARY.items():
        if head.startswith(magic):
            return words
    if b"\0" in head:
        return "a binary file", _CONVERT
    text = head.decode("utf-8-sig", "replace").strip()
    first = text.partition("\n")[0].strip()[:_MAX_TEXT]
    if text.startswith(("{", "[")):
        keys = list(dict.fromkeys(re.findall(r'"([^"\\]{1,40})"\s*:', text)))[:_MAX_NAMED]
        seen = f"JSON with {'the keys ' + ', '.join(keys) if keys else 'no keys'}"
        if text.startswith("[") and {"image_id", "score"} <= set(keys):
            return seen, "these are detections: give the ground truth first, as in detray evaluate gt.json dets.json"
        return seen, _CONVERT
    root = re.search(r"<([A-Za-z][\w.-]*)", text)
    if text.startswith("<") and root:
        return f"XML or HTML with the root <{root[1]}>", _CONVERT
    if not text:
        return "without content", "check the path"
    return f"text that begins with '{first}'", _CONVERT
