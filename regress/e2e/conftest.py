"""Fixtures: one private server for all tests, a fresh database for each.

WALSPOUT_TEST_FULL=1 makes the tests of size as large as the documented promises.
"""

import os

import pytest
import config_keys
from harness import postgres as pg
from harness.forwarder import Forwarder
from harness.ports import ClosedPort

FULL = bool(os.environ.get("WALSPOUT_TEST_FULL"))
BENCH_NULL = os.path.join(pg.TOP, "build", "bench", "bench_null.so")
TEST_CASTS = os.path.join(pg.TOP, "build", "modules", "walspout_test_casts.so")


def pytest_configure(config):
    config.addinivalue_line("markers", "effect(keys): shows what keys of the configuration do")
    config.addinivalue_line("markers", "long: part of make check-all, and not of make check")
    config.addinivalue_line("markers", "slow: takes more than ten seconds or a gigabyte")
    pg.exit_on_sigterm()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the end of the server's log to a failure."""
    report = (yield).get_result()
    server = item.funcargs.get("server") if hasattr(item, "funcargs") else None
    if report.failed and server and report.when != "teardown":
        report.sections.append(("server log, last lines", server.log_tail()))


@pytest.fixture(scope="session")
def server():
    with pg.WorkDir() as work:
        cluster = pg.Cluster(pg.Installation(work, modules=[BENCH_NULL, TEST_CASTS]))
        cluster.start()
        yield cluster


@pytest.fixture
def db(server, request):
    """A private database for the test. No server process may have crashed when the test is over."""
    server.databases = getattr(server, "databases", 0) + 1
    name = f"test_{server.databases}"
    server.createdb(name)
    before = len(server.log())
    yield pg.Database(server, name)
    server.dropdb(name)
    assert "terminated by signal" not in server.log()[before:]


@pytest.fixture
def fwd(db, tmp_path, request):
    """Makes forwarders; ends those that a test leaves. The keys in the test's mark `effect` must be in their
    configurations."""
    made, configs = [], []

    def make(**more):
        made.append(Forwarder(db, str(tmp_path), **more))
        with open(made[-1].config) as f:
            configs.append(f.read())
        return made[-1]
    yield make
    for forwarder in made:
        forwarder.kill()
    for marker in request.node.iter_markers("effect"):
        for key in marker.args:
            assert any(config_keys.is_used(config, key) for config in configs), f"{key} is not used"


@pytest.fixture(scope="session")
def pristine():
    """A cluster that is never started, for copies."""
    with pg.WorkDir() as work:
        yield pg.Cluster(pg.Installation(work))


@pytest.fixture
def alone(pristine):
    """A database on the test's own server, which the test may stop, replace and leave as it is."""
    with pg.WorkDir() as work:
        yield pg.Alone(work, pristine)


@pytest.fixture
def alone_fwd(alone, tmp_path):
    """Makes forwarders for that database; ends those that a test leaves."""
    made = []

    def make(**more):
        made.append(Forwarder(alone, str(tmp_path), **more))
        return made[-1]
    yield make
    for forwarder in made:
        forwarder.kill()


@pytest.fixture
def dead_port():
    """A port that refuses connections. It is held, so that no server of another test can get it."""
    with ClosedPort() as closed:
        yield closed.number


@pytest.fixture(scope="session")
def full():
    """Whether to test at full size."""
    return FULL
