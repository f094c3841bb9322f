"""A file that is rotated as logrotate does with `create` and `compress`, and without `delaycompress`.

The file is renamed, a new file is created, and the writer gets a signal. The old file is compressed at once and
removed, even if the writer still uses it.
"""

import contextlib
import gzip
import os
import time

from torture.disk import size

BLOCK = 64 << 10


class Rotated:
    def __init__(self, path, folder):
        """`folder` gets the compressed files. It may be on another disk, which is not full."""
        self.path = path
        self.folder = folder
        self.parts = []             # (compressed file, bytes of its whole lines), oldest first
        self._old = path + ".1"

    def rotate(self, signal, chance):
        """Whether there was something to rotate."""
        try:
            os.rename(self.path, self._old)
        except FileNotFoundError:
            return False
        time.sleep(chance.choice([0, 0, 0.002]))
        with contextlib.suppress(OSError):      # the disk is full
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
        # A service manager may send the signal later.
        is_late = chance.random() < 0.3
        if not is_late:
            signal()
        self._compress(chance)
        if is_late:
            signal()
        os.unlink(self._old)
        return True

    def _compress(self, chance):
        name = os.path.join(self.folder, f"{os.path.basename(self.path)}.{len(self.parts) + 1}.gz")
        whole = position = 0
        with open(self._old, "rb") as source, gzip.open(name, "wb", compresslevel=1) as target:
            while block := source.read(BLOCK):
                target.write(block)
                if b"\n" in block:
                    whole = position + block.rindex(b"\n") + 1
                position += len(block)
        # Lines that are written after this are in no file.
        time.sleep(chance.choice([0, 0.005, 0.05]))
        self.parts.append((name, whole))

    def size(self):
        """How much arrived. During a rotation the figure may be too large for a moment, never too small, because of the
        order of these looks."""
        return size(self.path) + size(self._old) + sum(whole for _, whole in self.parts)

    def content(self):
        """All lines. A part may end with an incomplete line, which is left out."""
        found = b""
        for name, whole in self.parts:
            with gzip.open(name) as f:
                found += f.read()[:whole]
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as f:
            found += f.read()
        return found

    def remove(self):
        for path in (self.path, self._old, *(name for name, _ in self.parts)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
