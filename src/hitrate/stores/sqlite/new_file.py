"""Creates a file with its tables in it: it is written without a name, flushed once, and then linked to its path.

To have SQLite make the tables in a file that is empty takes two transactions, with eight flushes of the disk.
"""

from __future__ import annotations

import os

from hitrate.stores.sqlite import schema

_BESIDE = ("-wal", "-shm", "-journal")


def link_whole(path: str, mode: int) -> bool:
    """Make a file with our tables, where the system has files without a name; tell whether it is there now.

    Raises:
        FileExistsError: somebody else has made one.
    """
    if any(os.path.lexists(path + suffix) for suffix in _BESIDE):
        return False  # left by another file: SQLite would write what they hold into this one
    try:
        descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY, mode)
    except (AttributeError, OSError):  # another system than Linux, or a file system without them
        return False
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(schema.new_file())
        os.fsync(descriptor)
        # With a folder given, though none is needed, Python follows the link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    except FileExistsError:
        raise
    except (AttributeError, OSError):  # the disk is full, or there is no /proc, or no ``os.link``, as on Android
        return False
    finally:
        os.close(descriptor)
    return True
