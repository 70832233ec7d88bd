"""Removing what others wrote."""

import os
import shutil


def remove(path):
    """Removes a file, a link, or a folder with all that is in it; nothing when it is missing."""
    if os.path.isdir(path) and not os.path.islink(path):
        open_up(path)
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def open_up(path):
    """Nothing can be removed from a folder that its owner cannot write, such as those of Go's cache of modules."""
    allow(path)
    for parent, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(parent, name)
            if not os.path.islink(inner):
                allow(inner)


def allow(folder):
    mode = os.stat(folder).st_mode
    if mode & 0o700 != 0o700:
        os.chmod(folder, mode & 0o7777 | 0o700)
