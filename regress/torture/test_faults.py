"""What is to go wrong does: the dealing of faults, and what a proxy loses."""

import collections
import itertools
import os
import random
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FAULTS, chosen, deal  # noqa: E402
from proxy import Proxy  # noqa: E402


def test_each_target_has_its_turn_and_each_fault_of_it():
    faults = chosen(FAULTS, [])
    targets = {fault.target for fault in faults}
    most = max(collections.Counter(fault.target for fault in faults).values())
    dealt = list(itertools.islice(deal(faults, random.Random(7)), most * len(targets)))
    for i in range(0, len(dealt), len(targets)):
        assert {fault.target for fault in dealt[i:i + len(targets)]} == targets
    assert {fault.name for fault in dealt} == {fault.name for fault in faults}


def everything(end):
    got = b""
    try:
        while data := end.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


def test_what_is_stuck_when_a_connection_ends_is_lost_in_its_middle():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        try:
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                with server.accept()[0] as there:
                    proxy.blackhole()
                    client.sendall(b"x" * 1000)
                    threading.Timer(0.2, lambda: proxy.heal(cut=True)).start()
                    there.settimeout(10)
                    assert 0 < len(everything(there)) < 1000
        finally:
            proxy.close()


RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")


@pytest.mark.parametrize("options", [
    "--runs 0", "--runs -3", "--seconds 0", "--seconds -1", "--seconds nan", "--seconds x", "--seed x",
    "--seed -1", "--sinks kafka", "--sinks redis,redis", "--faults nonsense",
    "--faults kill-redis,nonsense", "--sinks file --faults kill-redis", "--each --faults kill-redis"])
def test_what_would_test_nothing_or_something_else_is_an_error(options):
    done = subprocess.run([sys.executable, "-B", RUN, *options.split()], timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stdout == "" and "error" in done.stderr


def test_without_the_program_nothing_runs():
    done = subprocess.run([sys.executable, "-B", RUN], timeout=20, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "WALSPOUT": "/nonexistent/walspout"})
    assert done.returncode == 1 and "/nonexistent/walspout" in done.stderr
    assert "make torture" in done.stderr
