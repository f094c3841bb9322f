"""A place for files that can be filled up at will.

As root this is a separate file system in memory, which another file fills. A write then fails with "no space left on
device", often in its middle. Without root or the right to mount, it is a limit of the process's file size: a write
fails with "file too large".
"""

import contextlib
import ctypes
import os
import resource
import subprocess

SIZE = 256 << 20
PAGE = 4096

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def keep_mounts_private():
    """Mounts of this process and its children disappear when the last of them ends, however it ends.

    Call this while there is one thread. If it is not allowed, mounting is not allowed either.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return (libc.unshare(CLONE_NEWNS) == 0
            and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0)


class Disk:
    def __init__(self, work, name="disk"):
        self.folder = work.mkdir(name)
        self.ballast = os.path.join(self.folder, "ballast")
        self.mounted = False
        if os.geteuid() == 0:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "walspout",
                                   self.folder], stderr=subprocess.DEVNULL)
            self.mounted = done.returncode == 0
        if self.mounted:
            work.at_exit(self.unmount)

    def kind(self):
        return "tmpfs" if self.mounted else "RLIMIT_FSIZE"

    def fill(self, pid, left):
        """Leaves about `left` bytes of room for the files of process `pid`."""
        if not self.mounted:
            largest = max((size(os.path.join(self.folder, name))
                           for name in os.listdir(self.folder)), default=0)
            self._limit(pid, largest + left)
            return
        with open(self.ballast, "ab") as f, contextlib.suppress(OSError):
            block = bytes(1 << 20)
            while True:
                os.write(f.fileno(), block)
        size = os.path.getsize(self.ballast)
        os.truncate(self.ballast, max(0, size - left // PAGE * PAGE))

    def free(self, pid):
        if self.mounted:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.ballast)
        else:
            self._limit(pid, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(pid, size):
        # The process may have ended; a restarted process has no limit.
        with contextlib.suppress(ProcessLookupError):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def unmount(self):
        subprocess.run(["umount", "-l", self.folder], stderr=subprocess.DEVNULL)
