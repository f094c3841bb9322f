"""Servers of Debian's releases, each in a root directory with a system of its own.

The release that has a version is installed by debootstrap, with the compiler that the tests need, and
commands run in it by chroot. Both need root. Their mounts are in a separate mount namespace, so nothing has to be
unmounted.
"""

import glob
import os
import re
import shutil
import subprocess

# Of each major version: the release, and the suite that has the packages if that is another one.
VERSIONS = {"13": ("bullseye", None), "17": ("trixie", None), "19": ("sid", "experimental")}

INCLUDED = "ca-certificates,make,gcc,libc6-dev,python3"
E2E_PACKAGES = ("python3-pytest python3-pytest-xdist python3-psycopg2 python3-jsonschema python3-yaml openssl "
                "pgbouncer")
SCRIPTS = "/usr/share/debootstrap/scripts"

# Started in the new mount namespace: mounts what programs need, and enters the root.
ENTER = """
set -e
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t sysfs -o ro sysfs "$root/sys"
mkdir -p "$root/run/lock"
exec chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$1"
"""


class Unavailable(Exception):
    """A program or right for fetching or running is missing."""


def check_needs():
    leave_out = 'or leave the version out: make check-versions VERSIONS="16 18"'
    if os.geteuid() != 0:
        raise Unavailable(f"needs root, for debootstrap and chroot; {leave_out}")
    for program, package in [("debootstrap", "debootstrap"), ("unshare", "util-linux")]:
        if not shutil.which(program):
            raise Unavailable(f"needs {program}: apt-get install {package}; {leave_out}")


def listed(label):
    return subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                           "Identifier: Packages", f"Label: {label}"],
                          check=True, text=True, stdout=subprocess.PIPE).stdout.split()


def mirror():
    """The archive that this machine's own Debian packages come from."""
    found = listed("Debian")
    if not found:
        raise Unavailable("needs a Debian archive among the sources of apt")
    return found[0]


def security_mirror():
    """The same of its security fixes, if they are among the sources of apt; else None."""
    return (listed("Debian-Security") or [None])[0]


def in_namespace(*command, **more):
    return subprocess.run(["unshare", "--mount", "--propagation", "private", *command],
                          stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **more)


def enter(root, command, log):
    """Runs a command of the shell in the root; its exit status."""
    return in_namespace("sh", "-c", ENTER, "enter", root, command, stdout=log).returncode


def write(root, path, text, mode=0o644):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as f:
        f.write(text)
    os.chmod(full, mode)


def fetch(number, place, log):
    check_needs()
    release, suite = VERSIONS[number]
    archive = mirror()
    root = os.path.join(place, "root")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    known = os.path.exists(os.path.join(SCRIPTS, release))
    in_namespace("debootstrap", "--variant=minbase", "--include=" + INCLUDED, release, root, archive,
                 *([] if known else [os.path.join(SCRIPTS, "sid")]), stdout=log, check=True)
    configure(number, root, archive, suite)
    update(root, log)
    install(root, f"postgresql-{number} postgresql-server-dev-{number} libpq-dev", log)
    # The last minor version of the server. Its headers may stay: archives of old releases lose packages.
    if release != "sid" and security_mirror():
        write(root, "etc/apt/sources.list.d/security.list",
              f"deb {security_mirror()} {release}-security main\n")
        update(root, log)
        install(root, f"postgresql-{number} postgresql-client-{number}", log)


def configure(number, root, archive, suite):
    """No cluster, no services, no more packages than needed; and the suite, for this server only."""
    write(root, "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    write(root, "etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n")
    write(root, "etc/apt/apt.conf.d/90versions",
          'APT::Install-Recommends "0";\nAcquire::Check-Valid-Until "false";\n')
    if suite:
        write(root, "etc/apt/sources.list.d/suite.list", f"deb {archive} {suite} main\n")
        write(root, "etc/apt/preferences.d/suite",
              f"Package: src:postgresql-{number}\nPin: release a={suite}\nPin-Priority: 990\n")


def sources(place):
    return os.path.join(place, "root", "root", "walspout")


def transplant(root, folder, programs):
    """Copies programs of this machine into a folder of the root, with their libraries."""
    target = root + folder
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(os.path.join(target, "lib"))
    for program in programs:
        linked = subprocess.run(["ldd", program], check=True, text=True, stdout=subprocess.PIPE).stdout
        for library in re.findall(r"(/\S+)", linked):
            shutil.copy(library, os.path.join(target, "lib"))
        loader = os.path.basename(re.search(r"/\S*/ld-linux\S*", linked).group())
        name = os.path.basename(program)
        shutil.copy(program, os.path.join(target, "lib", name))
        write(root, f"{folder[1:]}/{name}",
              f'#!/bin/sh\nexec {folder}/lib/{loader} --argv0 "$0" --library-path {folder}/lib '
              f'{folder}/lib/{name} "$@"\n', 0o755)


def update(root, log):
    status = enter(root, "apt-get update -q", log)
    if status:
        raise subprocess.CalledProcessError(status, "apt-get update")


def install(root, packages, log):
    status = enter(root, f"apt-get install -q -y {packages}", log)
    if status:
        raise subprocess.CalledProcessError(status, f"apt-get install {packages}")


def prepare_sql(place, log):
    """The isolation tester of this machine, if the packages of that server lack it: it is only a client.

    How the tests find it, as an assignment of the shell.
    """
    root = os.path.join(place, "root")
    if glob.glob(root + "/usr/lib/postgresql/*/lib/pgxs/src/test/isolation/isolationtester"):
        return ""
    here = subprocess.run([os.environ.get("PG_CONFIG") or "pg_config", "--pkglibdir"], check=True,
                          text=True, stdout=subprocess.PIPE).stdout.strip()
    programs = [f"{here}/pgxs/src/test/isolation/{name}"
                for name in ("isolationtester", "pg_isolation_regress")]
    for program in programs:
        if not os.path.exists(program):
            raise Unavailable(f"needs {program}: neither this machine has it nor the packages there")
    transplant(root, "/opt/testers/isolation", programs)
    return "PG_TEST_PROGRAMS=/opt/testers"


def prepare_e2e(place, program, log):
    """Puts the forwarder and the Redis of this machine into the root, and installs what the tests need.

    Both do not depend on the server's version, and tests do not support the Redis of an old release. Returns shell
    assignments with which the tests find both.
    """
    root = os.path.join(place, "root")
    redis = [shutil.which(name) for name in ("redis-server", "redis-cli")]
    if None in redis:
        raise Unavailable("needs redis-server and redis-cli: make deps-test")
    transplant(root, "/opt/forwarder", [program, *redis])
    install(root, E2E_PACKAGES, log)
    return "WALSPOUT=/opt/forwarder/walspout PATH=/opt/forwarder:$PATH"


def run(place, command, log):
    check_needs()
    return enter(os.path.join(place, "root"), f"cd /root/walspout && {command}", log)
