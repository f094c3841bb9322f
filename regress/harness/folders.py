"""Folders for the files of servers."""

import contextlib
import os
import shutil
import sys
import tempfile

from harness import privilege

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET = ".s.PGSQL.65535.lock"


def place(where):
    """A folder for a server. A path is that of the test's own folder."""
    return where if isinstance(where, Folder) else Folder(where)


class Folder:
    """An existing folder, which stays. Programs in it run as the user of the test."""

    def __init__(self, path):
        self.path = str(path)
        self.user = None

    def at_exit(self, function):
        """The owner of the folder ends the programs in it."""

    def mkdir(self, name, mode=0o700):
        path = os.path.join(self.path, name)
        os.makedirs(path, mode=mode)
        privilege.give(path, self.user)
        return path

    def new_folder(self, name):
        """A folder of that name, or of that name and a number."""
        number = 1
        while os.path.exists(os.path.join(self.path, f"{name}{number}")):
            number += 1
        return self.mkdir(f"{name}{number}")

    def socket_dir(self):
        """A directory for sockets."""
        return self.new_folder("s")

    def own_tree(self, path):
        privilege.give(path, self.user)
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                privilege.give(os.path.join(folder, name), self.user)

    def as_user(self):
        """Arguments for subprocess that run a program as the folder's user."""
        return {"cwd": self.path, **privilege.run_as(self.user)}


class WorkDir(Folder):
    """A temporary directory that belongs to the user the servers run as.

    Removed at the end of the `with`; kept when WALSPOUT_KEEP is set.
    """

    def __init__(self):
        super().__init__(tempfile.mkdtemp(prefix="walspout."))
        self.user = privilege.server_user()
        privilege.give(self.path, self.user)
        self._sockets = None
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()
        if os.environ.get("WALSPOUT_KEEP"):
            print(f"kept {self.path}", file=sys.stderr)
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def at_exit(self, function):
        """Calls function() before the directory goes; the last one registered is called first."""
        self._stack.callback(function)

    def copy(self, source, name):
        """Copies a file or folder of the repository to a place that the servers' user can read."""
        path = os.path.join(self.path, name)
        if os.path.isdir(source):
            shutil.copytree(source, path)
        else:
            shutil.copy(source, path)
        self.own_tree(path)
        return path

    def socket_dir(self):
        """A directory for sockets, short enough for a socket's address."""
        path = os.path.join(self.path, "s")
        if len(f"{path}/{LONGEST_SOCKET}") > SOCKET_PATH_LIMIT:
            if not self._sockets:
                self._sockets = tempfile.mkdtemp(prefix="walspout.", dir="/tmp")
                privilege.give(self._sockets, self.user)
            path = os.path.join(self._sockets, "s")
        suffix = 0
        while os.path.exists(f"{path}{suffix}"):
            suffix += 1
        path = f"{path}{suffix}"
        os.mkdir(path, 0o755)
        privilege.give(path, self.user)
        return path
