"""Faults happen as planned: the schedule of faults, and what a proxy loses."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import random
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness.proxy import Proxy
from torture import faults as all_faults
from torture.faults import FAULTS, KINDS, Fault, Schedule, chosen, deal, without_those_too_new
from torture.rotation import Rotated


def test_each_target_has_its_turn_and_each_fault_of_it():
    faults = chosen(FAULTS, [])
    targets = {fault.target for fault in faults}
    most = max(collections.Counter(fault.target for fault in faults).values())
    dealt = list(itertools.islice(deal(faults, random.Random(7)), most * len(targets)))
    for i in range(0, len(dealt), len(targets)):
        assert {fault.target for fault in dealt[i:i + len(targets)]} == targets
    assert {fault.name for fault in dealt} == {fault.name for fault in faults}


def test_each_kind_of_run_has_faults_and_each_fault_has_a_kind():
    names = set()
    for name, kind in KINDS.items():
        mine = {fault.name for fault in chosen(FAULTS, kind.patterns)}
        assert mine, name
        names |= mine
    assert names == {fault.name for part in FAULTS.values() for fault in part}


def test_a_fault_that_this_server_cannot_have_is_named():
    faults = chosen(["postgres"], ["promote-postgres", "kill-*"])
    apply, lines = without_those_too_new(faults, 15)
    assert {fault.name for fault in apply} == {"kill-walsender", "kill-postgres"}
    assert len(lines) == 1 and "promote-postgres does not apply" in lines[0] and "16" in lines[0]
    assert without_those_too_new(faults, 16) == (faults, [])
    assert "promote-postgres" not in {fault.name for fault in chosen(["postgres"], ["*-postgres"])}


class Nowhere:
    """A scene in which faults have no effect."""

    patterns = ()

    def __init__(self):
        self.stage = self
        self.threads = concurrent.futures.ThreadPoolExecutor(8)


def schedule(faults, seconds=2.0):
    made = Schedule(Nowhere(), faults, random.Random(3), seconds)
    made.plan = [(0.01 * i, fault, 0.01, random.Random(i)) for i, fault in enumerate(faults * 20)]
    return made


def test_faults_that_spare_each_others_targets_take_turns():
    busy = []

    def begin(scene, chance):
        busy.append(1)
        assert len(busy) == 1
        time.sleep(0.01)
        return busy.clear
    faults = [Fault("one", "a", begin, ("b",)), Fault("two", "b", begin, ("a",))]
    made = schedule(faults)
    made.run(2.0, lambda text: None)
    assert made.errors == [] and made.count == {"one": 20, "two": 20}


def test_a_broken_promise_is_told_and_nothing_more_happens():
    def begin(scene, chance):
        raise all_faults.Promise("the server did not stop")
    made = schedule([Fault("stop", "a", begin)])
    made.run(0.5, lambda text: None)
    assert made.errors == ["stop: Promise: the server did not stop"] and not made.count


def test_what_had_nothing_to_do_is_not_counted():
    made = schedule([Fault("promote", "a", lambda scene, chance: None)])
    made.run(0.5, lambda text: None)
    assert made.errors == [] and not made.count


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


def test_a_connection_gets_its_portion_and_the_next_one_too():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        try:
            proxy.ration(300_000)
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                    with server.accept()[0] as there:
                        there.settimeout(10)
                        client.settimeout(10)
                        client.sendall(b"x" * 1000)
                        sender = threading.Thread(target=send_all, args=(there, b"y" * 1_000_000))
                        sender.start()
                        # A reset loses data in flight.
                        assert len(everything(client)) < 500_000
                        sender.join()
            assert proxy.accepted == 3
            proxy.heal()
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                client.settimeout(10)
                with server.accept()[0] as there:
                    there.sendall(b"y" * 1_000_000)
                assert len(everything(client)) == 1_000_000
        finally:
            proxy.close()


def test_a_server_that_moves_is_found_at_its_new_address_only():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        try:
            with socket.create_connection(("127.0.0.1", proxy.port)) as client, server.accept()[0]:
                proxy.move("127.0.0.2")
                client.settimeout(10)
                assert everything(client) == b""
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", proxy.port), 10)
            with socket.create_connection(("127.0.0.2", proxy.port)) as client:
                with server.accept()[0] as there:
                    there.sendall(b"y")
                    client.settimeout(10)
                    assert client.recv(1) == b"y"
        finally:
            proxy.close()


CLOCK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "torture",
                     "clock_preload.so")


def test_made_up_names_have_the_addresses_that_the_file_says(tmp_path):
    names = tmp_path / "names"
    names.write_text("one.walspout.test 127.0.0.3\nother.walspout.test 127.0.0.4\n")
    ask = "import socket; print(*[socket.getaddrinfo(name, 80)[0][4][0] for name in " \
          "('one.walspout.test', 'other.walspout.test', 'localhost')])"
    said = subprocess.run(
        [sys.executable, "-c", ask], timeout=60, stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "WALSPOUT_NAMES": str(names), "LD_PRELOAD": CLOCK}).stdout.split()
    assert said[:2] == ["127.0.0.3", "127.0.0.4"] and said[2] in ("127.0.0.1", "::1")


def send_all(end, data):
    with contextlib.suppress(OSError):
        end.sendall(data)


class FollowingWriter:
    """Writes numbered lines into a file, and follows it only when it is told to."""

    def __init__(self, path):
        self.path, self.count, self.told = path, 0, threading.Event()
        self.file = open(path, "ab", buffering=0)

    def write(self):
        if self.told.is_set():
            self.told.clear()
            self.file.close()
            self.file = open(self.path, "ab", buffering=0)
        self.count += 1
        self.file.write(b"%d\n" % self.count)


def test_a_rotated_file_keeps_what_it_had_and_loses_what_comes_late(tmp_path):
    rotated = Rotated(str(tmp_path / "events"), str(tmp_path))
    assert not rotated.rotate(lambda: None, random.Random(1))
    writer = FollowingWriter(rotated.path)
    for i in range(1, 6):
        writer.write()
        if i < 4:
            assert rotated.rotate(writer.told.set, random.Random(i))
    assert rotated.content() == b"1\n2\n3\n4\n5\n" and rotated.size() == 10
    # Without the signal what follows goes into a file that is gone.
    assert rotated.rotate(lambda: None, random.Random(9))
    writer.write()
    assert rotated.content() == b"1\n2\n3\n4\n5\n" and rotated.size() == 10
    writer.told.set()
    writer.write()
    writer.file.write(b"half a l")
    assert rotated.content().endswith(b"5\n7\nhalf a l")
    assert rotated.rotate(writer.told.set, random.Random(2))
    assert rotated.content().endswith(b"5\n7\n") and rotated.size() == 12
    writer.file.close()
    rotated.remove()
    assert os.listdir(tmp_path) == []


RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")


@pytest.mark.parametrize("options", [
    "--runs 0", "--runs -3", "--seconds 0", "--seconds -1", "--seconds nan", "--seconds x", "--seed x",
    "--seed -1", "--sinks kinesis", "--sinks redis,redis", "--faults nonsense",
    "--faults kill-redis,nonsense", "--sinks file --faults kill-redis", "--each --faults kill-redis",
    "--each --sources 2", "--sources 3"])
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


def test_a_run_of_what_does_not_apply_says_so_and_does_not_end_well(tmp_path):
    pg_config = tmp_path / "pg_config"
    pg_config.write_text("#!/bin/sh\necho PostgreSQL 15.4\n")
    pg_config.chmod(0o755)
    done = subprocess.run([sys.executable, "-B", RUN, "--faults", "promote-postgres"], timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "WALSPOUT": sys.executable, "PG_CONFIG": str(pg_config)})
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("promote-postgres does not apply: before PostgreSQL 16")
