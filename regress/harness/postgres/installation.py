"""The server's programs in a separate tree, with the extension."""

import copy
import os
import re
import shutil
import subprocess

from harness.folders import TOP
from harness.server import ServerError


def server_version(pg_config=None):
    """The major version of the server that tests use."""
    pg_config = pg_config or os.environ.get("PG_CONFIG") or "pg_config"
    text = subprocess.run([pg_config, "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout
    return int(re.search(r"PostgreSQL (\d+)", text).group(1))


class Installation:
    """The server's programs and the extension, in a tree below the work directory.

    modules: more shared libraries beside the extension's; a library of the same name replaces it. install: whether to
    install the extension there, or to use the system's. name: of the tree.
    """

    def __init__(self, work, pg_config=None, modules=(), install=True, name="pg"):
        self.work = work
        self.pg_config = pg_config or os.environ.get("PG_CONFIG") or "pg_config"
        self.root = os.path.join(work.path, name)
        os.mkdir(self.root, 0o755)
        self.system_bindir = self.ask("--bindir")
        self.system_pkglibdir = self.ask("--pkglibdir")
        self.bindir = self.root + self.system_bindir
        self.pkglibdir = self.root + self.system_pkglibdir
        self.sharedir = self.root + self.ask("--sharedir")
        self.major = server_version(self.pg_config)

        # Our files first: `make install` must never write through a link into the system.
        os.makedirs(os.path.join(self.sharedir, "extension"))
        os.makedirs(self.pkglibdir)
        if install:
            self._install_extension()
        for module in modules:
            self.add_module(module)
        shutil.copytree(self.system_bindir, self.bindir)
        self._link(self.system_pkglibdir, self.pkglibdir)
        self._link(self.ask("--sharedir"), self.sharedir)

    def in_folder(self, work):
        """The same programs, for clusters in another work directory."""
        other = copy.copy(self)
        other.work = work
        return other

    def ask(self, option):
        return subprocess.run([self.pg_config, option], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def program(self, name):
        return os.path.join(self.bindir, name)

    def test_program(self, path):
        """A program of the server's test suite, such as "regress/pg_regress".

        PG_TEST_PROGRAMS is a folder with such programs, if the server's packages lack them.
        """
        own = os.path.join(self.system_pkglibdir, "pgxs/src/test", path)
        if os.path.exists(own):
            return own
        return os.path.join(os.environ.get("PG_TEST_PROGRAMS", own[:-len(path)]), path)

    def add_module(self, path):
        target = os.path.join(self.pkglibdir, os.path.basename(path))
        if os.path.lexists(target):
            os.unlink(target)
        shutil.copy(path, target)
        os.chmod(target, 0o755)

    def has_module(self, name):
        return os.path.exists(os.path.join(self.pkglibdir, name + ".so"))

    def _install_extension(self):
        # Variables given to an outer make stay in force, but its job server must not be used.
        env = dict(os.environ)
        env["MAKEFLAGS"] = re.sub(r"\s?(-j\d*|--jobserver-\S+)", "", env.get("MAKEFLAGS", ""))
        done = subprocess.run(["make", "-C", TOP, "-s", "--no-print-directory", "install-plugin",
                               f"PG_CONFIG={self.pg_config}", f"DESTDIR={self.root}"],
                              env=env, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise ServerError(f"make install failed:\n{done.stdout}")
        subprocess.run(["chmod", "-R", "a+rX", self.root], check=True)

    def _link(self, source, target):
        """Links whatever `source` has and `target` lacks; descends only where both have a folder."""
        for entry in os.scandir(source):
            path = os.path.join(target, entry.name)
            if entry.is_dir() and os.path.isdir(path):
                self._link(entry.path, path)
            elif not os.path.lexists(path):
                os.symlink(entry.path, path)
