"""How much a model's archive would fill the memory with, which is known before any of it is read."""

import io
import math
import zipfile
from typing import IO

from detray.errors import UsageError

MAX_UNPACKED = 1 << 30
"""Bytes of all members of a model's file, and of all arrays in these: 270 million parameters."""

HDF5 = b"\x89HDF\r\n\x1a\n"
"""What an HDF5 file begins with."""


def require_bounded(data: bytes, place: str) -> None:
    """Refuse a ZIP archive or HDF5 file that states to hold more than `MAX_UNPACKED` when it is unpacked.

    Members (``.npz``) and the arrays of an HDF5 member are counted by what the archive states, beyond
    which nothing is read of it. What is neither is left to its reader.

    Raises:
        UsageError: naming ``place``.
    """
    if data.startswith(HDF5):
        try:
            _bound(_declared(io.BytesIO(data)), place)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"{place}: a damaged HDF5 file ({str(error)[:200]})") from None
    elif zipfile.is_zipfile(io.BytesIO(data)):
        _require(io.BytesIO(data), place)


def _require(file: IO[bytes], place: str) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _bound(sum(member.file_size for member in members), place)
            for member in members:
                if member.filename.endswith(".npz"):
                    _require(io.BytesIO(archive.read(member)), place)
                elif member.filename.endswith((".h5", ".hdf5")):
                    _bound(_declared(io.BytesIO(archive.read(member))), place)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise UsageError(f"{place}: a damaged archive ({str(error)[:200]})") from None


def _declared(file: IO[bytes]) -> int:
    """Bytes of all arrays of an HDF5 file; links to other files, which Keras refuses, are not followed."""
    import h5py

    sizes: list[int] = []

    def add(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(math.prod(item.shape or ()) * item.dtype.itemsize)

    with h5py.File(file, "r") as found:
        found.visititems(add)
    return sum(sizes)


def _bound(size: int, place: str) -> None:
    if size > MAX_UNPACKED:
        raise UsageError(
            f"{place}: would fill {size / (1 << 30):,.1f} GiB when it is unpacked, and {MAX_UNPACKED >> 30} GiB is the"
            " most that is read"
        )
