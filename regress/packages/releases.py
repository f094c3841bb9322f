"""Systems of Debian's releases, each in a folder: an empty one, and copies of it."""

import os
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "regress"), os.path.join(TOP, "regress", "versions")]
CACHE = os.path.join(TOP, "build", "packages")
RELEASES = {"12": "bookworm", "13": "trixie"}

import roots  # noqa: E402


class Failure(Exception):
    """A step that failed: which, and where its output is."""


class Release:
    """A release of Debian. `log` has the output of the steps."""

    def __init__(self, number, log="log"):
        self.number, self.name = number, RELEASES[number]
        self.place = os.path.join(CACHE, number)
        os.makedirs(self.place, exist_ok=True)
        self.log = os.path.join(self.place, log)
        open(self.log, "w").close()

    def step(self, what, function):
        """function(log) returns something true, or raises, if it fails."""
        with open(self.log, "a") as log:
            print(f"== {what}", file=log, flush=True)
            try:
                failed = function(log)
            except (subprocess.CalledProcessError, OSError) as e:
                failed = e
        if failed:
            with open(self.log, errors="replace") as log:
                tail = "".join(log.readlines()[-25:])
            raise Failure(f"{what} failed; the end of {self.log}:\n{tail}")

    def base(self):
        """The empty system, which is kept."""
        root = os.path.join(self.place, "base")
        if os.path.exists(os.path.join(self.place, "complete")):
            return root
        shutil.rmtree(root, ignore_errors=True)
        script = os.path.join(roots.SCRIPTS, self.name)
        self.step("debootstrap", lambda log: roots.in_namespace(
            "debootstrap", "--variant=minbase", "--include=ca-certificates", self.name, root, roots.mirror(),
            *([] if os.path.exists(script) else [os.path.join(roots.SCRIPTS, "sid")]), stdout=log).returncode)
        self.configure(root)
        open(os.path.join(self.place, "complete"), "w").close()
        return root

    def configure(self, root):
        """No service starts, no cluster is made; security fixes are among the sources, if they are here."""
        roots.write(root, "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        roots.write(root, "etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n")
        # Nothing there has to survive a power failure: dpkg need not wait for the disk.
        roots.write(root, "etc/dpkg/dpkg.cfg.d/packages", "force-unsafe-io\n")
        roots.write(root, "etc/apt/apt.conf.d/90packages", 'APT::Install-Recommends "0";\n')
        if roots.security_mirror():
            roots.write(root, "etc/apt/sources.list.d/security.list",
                        f"deb {roots.security_mirror()} {self.name}-security main\n")
        self.step("apt-get update", lambda log: roots.update(root, log))

    def copy(self, name):
        """A system of that name in which nothing was installed before."""
        base, root = self.base(), os.path.join(self.place, name)
        shutil.rmtree(root, ignore_errors=True)
        self.step(f"a copy: {name}", lambda log: subprocess.run(["cp", "-a", base, root], stdout=log, stderr=log).returncode)
        return root

    def enter(self, root, what, command):
        self.step(what, lambda log: roots.enter(root, command, log))


def copy_sources(target):
    """The files of the project, as they are here."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, check=True,
                            stdout=subprocess.PIPE).stdout.decode().split("\0")
    for name in filter(None, listed):
        path = os.path.join(target, name)
        if os.path.exists(os.path.join(TOP, name)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy2(os.path.join(TOP, name), path)


def version():
    """The version of the packages, and the commit, which a copy of the sources lacks."""
    said = subprocess.run([os.path.join(TOP, "forwarder", "packaging", "deb"), "version"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()
    return said, said.rpartition(".g")[2] if ".g" in said else ""
