"""Processes: how they end with their test, and their figures in the kernel."""

import contextlib
import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import sys

from harness.waiting import wait_until

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent(number=signal.SIGKILL):
    """For preexec_fn: the signal that the process gets when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


def exit_on_sigterm():
    """Turns SIGTERM into an exception, so that servers are stopped and work directories removed.

    A second SIGTERM changes nothing: make and the shell send it too, and it must not interrupt the cleanup.
    """
    def leave(*_):
        signal.signal(signal.SIGTERM, lambda *_: None)
        sys.exit(128 + signal.SIGTERM)
    signal.signal(signal.SIGTERM, leave)


def find_program(name):
    """The path of a program, also in the folders for administrators; None if there is none."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def first_line(*command):
    """The first line that a command prints."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL)
    return done.stdout.strip().split("\n")[0]


def children(pid, thread=None):
    """Processes that a process has started, by its first thread or another one; none if it has ended."""
    try:
        with open(f"/proc/{pid}/task/{thread or pid}/children") as f:
            return [int(child) for child in f.read().split()]
    except FileNotFoundError:
        return []


def family(pid):
    """A process, and all that it or its children have started."""
    return [pid] + [member for child in children(pid) for member in family(child)]


def is_gone(pid):
    """Whether a process has ended, even if its parent has not read its status yet."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def signal_all(pids, number):
    """Sends a signal to the processes that still exist."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def freeze(*pids):
    """Sends SIGSTOP; on return no thread runs. The kernel stops threads one by one, which takes a moment."""
    signal_all(pids, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda pid=pid: all(state in "TtZX" for state in _thread_states(pid)), what=f"stop of {pid}")


def thaw(*pids):
    signal_all(pids, signal.SIGCONT)


def _thread_states(pid):
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as f:
            yield f.read().rsplit(")", 1)[1].split()[0]


def cpu_seconds(pid):
    """CPU time, user and system, of all threads that a process has."""
    if not os.path.exists(f"/proc/{pid}/schedstat"):
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def memory_bytes(pid):
    """{"VmHWM": ..., "VmRSS": ..., "RssAnon": ...} of a process, in bytes."""
    with open(f"/proc/{pid}/status") as f:
        fields = re.findall(r"^(VmHWM|VmRSS|RssAnon):\s+(\d+) kB", f.read(), re.M)
    return {name: int(kilobytes) * 1024 for name, kilobytes in fields}
