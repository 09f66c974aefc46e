"""Whether a folder stands on a disk that nobody can write to, and not only we.

A folder may be mounted read-only here and be writable elsewhere: as a volume of a container, or on
a file server. Only of a disk of this machine, mounted read-only as a whole, is it certain that what
was read stays true.
"""

import os
from pathlib import Path

_DISKS = (
    *("btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "ntfs3", "squashfs"),
    *("tmpfs", "udf", "vfat", "xfs", "zfs"),
)
"""File systems that a single machine writes to."""


def is_read_only(folder: Path) -> bool:
    """Whether nothing can be written to `folder` from here, whoever tries."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False  # what is not there, or is hidden, is for whoever opens it to tell


def is_frozen(folder: Path) -> bool:
    """Whether nobody can write to `folder`, as far as Linux tells; elsewhere never."""
    if not is_read_only(folder):
        return False
    try:
        mount_id, mounts = (
            _mount_id(folder),
            Path("/proc/self/mountinfo").read_text("utf-8", "replace"),
        )
    except OSError:
        return False  # without /proc it is not certain
    return any(_is_frozen_mount(line) for line in mounts.splitlines() if _id_of(line) == mount_id)


def _mount_id(folder: Path) -> str:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        about = Path(f"/proc/self/fdinfo/{descriptor}").read_text("utf-8")
    finally:
        os.close(descriptor)
    ids = (line.split()[1] for line in about.splitlines() if line.startswith("mnt_id:"))
    return next(ids, "")


def _id_of(line: str) -> str:
    return line.split(" ", 1)[0]


def _is_frozen_mount(line: str) -> bool:
    """Of a line of mountinfo (proc(5)): after the hyphen stand the type of the file system, its
    source, and the options that hold wherever it is mounted."""
    kind, _source, options = line.partition(" - ")[2].split(" ")[:3]
    return kind in _DISKS and "ro" in options.split(",")
