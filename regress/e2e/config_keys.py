"""Which keys of the configuration there are, and which of them a test shows to have an effect.

The program says which keys there are: `walspout keys --json`. A key counts as tested when one of these is so:

- A test of pytest says so, `@pytest.mark.effect("source.origin")`. When it runs, conftest.py checks that a
  configuration with the key in that section was used.
- A unit test of a sink says so, `SHOWS("redis.maxlen");`, and the test of the loader has the key.

No script can judge what a test asserts. These rules ensure that a test uses the key.
"""

import glob
import json
import os
import re
import subprocess

from harness import postgres as pg
from harness import forwarder


def read(*path):
    with open(os.path.join(pg.TOP, *path)) as f:
        return f.read()


def keys():
    """{"section.key": what the program says of it}"""
    out = subprocess.run([forwarder.PROGRAM, "keys", "--json"], stdout=subprocess.PIPE, check=True)
    return {entry["key"]: entry for entry in json.loads(out.stdout)}


def declared():
    """{key: [tests]}: the keys that tests of pytest say they show."""
    found = {}
    for path in glob.glob(os.path.join(pg.TOP, "regress", "e2e", "test_*.py")):
        for match in re.finditer(r"@pytest\.mark\.effect\(([^)]*)\)(?:\s*@[^\n]*)*\s*def (\w+)",
                                 read(path)):
            for key in re.findall(r"\"([\w.]+)\"", match[1]):
                found.setdefault(key, []).append(match[2])
    return found


def section_of(config, key):
    """The lines of a test's configuration in which a key of a section can be."""
    section = key.split(".")[0] if "." in key else ""
    source = re.search(r"^    source:\n(.*?)^    sinks:\n", config, re.M | re.S)
    sinks = re.split(r"^      - (?=type)", re.search(r"^    sinks:\n(.*?)^(?:    \w|status:)", config,
                                                     re.M | re.S)[1], flags=re.M)[1:]
    if section == "source":
        return source[1]
    if section == "sink":
        return "\n".join(sinks)
    of_type = [sink for sink in sinks if re.match(rf"type: {section}\b", sink)]
    if section and of_type:
        return "\n".join(of_type)
    return config.replace(source[1], "").replace("\n".join(sinks), "")


def is_used(config, key):
    return re.search(rf"\b{key.split('.')[-1]}:", section_of(config, key)) is not None


def shown_by_sink_tests():
    """Keys that unit tests show."""
    loader = read("forwarder", "test", "config", "config_test.cc")
    shown = set()
    for path in glob.glob(os.path.join(pg.TOP, "forwarder", "test", "sink", "*", "*_test.cc")):
        for key in re.findall(r"SHOWS\(\"([\w.]+)\"\);", read(path)):
            if re.search(rf"\b{key.split('.')[-1]}:", loader):
                shown.add(key)
    return shown
