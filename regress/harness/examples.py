"""The examples in docs/examples: copies of them that run, and the packages that they need.

Packages come from PyPI, npm and the Go module proxy, in the versions and with the checksums that the example's folder
names. They are kept in build/examples, and nothing is installed.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import zlib

from harness.folders import TOP
from harness.processes import family
from harness.server import Server

EXAMPLES = os.path.join(TOP, "docs", "examples")
KEPT = os.path.join(TOP, "build", "examples")


class Example:
    """A copy of a folder of docs/examples, in which programs run. env: variables of all of them, in addition to ours.

    places: {text: text} to replace in the copy's files, such as addresses.
    """

    def __init__(self, name, folder, env, places):
        self.name = name
        self.folder = os.path.join(str(folder), name)
        self.env = {**os.environ, **env}
        shutil.copytree(os.path.join(EXAMPLES, name), self.folder)
        self._own_python()
        for file in os.scandir(self.folder):
            if file.name.endswith((".yaml", ".py", ".mjs", ".go")):
                self._replace(file.path, places)
        with open(self.path("walspout.yaml"), "a") as config:
            config.write("status: {listen: 127.0.0.1:0}\n")
        if os.path.exists(self.path("package-lock.json")):
            os.symlink(_npm(self.folder), self.path("node_modules"))
        if os.path.exists(self.path("requirements.txt")):
            self.env["PYTHONPATH"] = _pip(self.folder)
        self.env.update(GOMODCACHE=os.path.join(KEPT, "go"), GOCACHE=os.path.join(KEPT, "go-build"),
                        GOFLAGS="-modcacherw", GOTOOLCHAIN="local", CGO_ENABLED="0")

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def _own_python(self):
        """`python3` of the copy is the one that runs the tests: it has the packages of Debian."""
        programs = os.path.join(self.folder, "bin")
        os.mkdir(programs)
        python = os.path.join(programs, "python3")
        with open(python, "w") as file:
            file.write(f'#!/bin/sh\nexec {sys.executable} -B "$@"\n')
        os.chmod(python, 0o755)
        self.env["PATH"] = os.pathsep.join([programs, self.env["PATH"]])

    @staticmethod
    def _replace(path, places):
        with open(path) as file:
            text = file.read()
        for old, new in places.items():
            text = text.replace(old, new)
        with open(path, "w") as file:
            file.write(text)

    def command(self, language, program):
        """Words that run a program of the example."""
        if language == "python":
            return ["python3", self.path(f"{program}.py")]
        if language == "node":
            return ["node", self.path(f"{program}.mjs")]
        built = self.path(f"{program}-built")
        if not os.path.exists(built):
            with _locked("go"):
                subprocess.run(["go", "build", "-o", built, "."], cwd=self.folder, env=self.env, check=True, timeout=600)
        return [built]


class Program(Server):
    """A program of an example. up: says whether it can be used."""

    as_server = False

    def __init__(self, example, name, words, up=lambda: True, **env):
        super().__init__(example.folder, name)
        self.words = words
        self.env = {**example.env, **env}
        self.is_up = up

    def command(self):
        return self.words

    def launch(self, **more):
        super().launch(cwd=self.work.path, **more)

    def pids(self):
        """Stops the program and the processes that it has started."""
        return family(self.process.pid) if self.running() else []


@contextlib.contextmanager
def _locked(name):
    os.makedirs(KEPT, exist_ok=True)
    with open(os.path.join(KEPT, f"{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder, files, fill):
    """A folder that fill(path) makes once for the content of these files."""
    content = b"".join(open(os.path.join(folder, name), "rb").read() for name in files)
    kept = os.path.join(KEPT, f"{os.path.basename(folder)}-{files[0]}-{zlib.crc32(content):08x}")
    with _locked(os.path.basename(kept)):
        if not os.path.exists(kept):
            shutil.rmtree(kept + ".new", ignore_errors=True)
            os.mkdir(kept + ".new")
            fill(kept + ".new")
            os.rename(kept + ".new", kept)
    return kept


def _npm(folder):
    def fill(path):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(folder, name), path)
        subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=path, check=True, timeout=300)
    return os.path.join(_fetch(folder, ["package-lock.json", "package.json"], fill), "node_modules")


def _pip(folder):
    def fill(path):
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile",
                        "--require-hashes", "--target", path, "-r", os.path.join(folder, "requirements.txt")],
                       check=True, timeout=300)
    return _fetch(folder, ["requirements.txt"], fill)
