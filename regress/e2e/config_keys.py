"""Which keys of the configuration there are, and which of them a test shows to have an effect.

Keys are read from the loader, `forwarder/app/config.cc`: "source.origin", "redis.maxlen",
"redis.tls.verify", "log.level". A key counts as tested when one of these is so:

- A test of pytest says so, `@pytest.mark.effect("source.origin")`. It is to assert what the key does;
  that a configuration with the key in that section was used is checked when it runs (conftest.py).
- A TEST of the sink, in `forwarder/test/sink/SINK*_test.cc`, that asserts something sets the field
  that the loader reads the key into, itself or through a helper that it calls; and `config_test.cc`
  asserts that the loader puts the key's value into that field.

What is asserted no script can judge; that a test has the key in its hands, and fails if the loader
forgets it, these rules see to.
"""

import glob
import os
import re

import cluster as pg

# Functions of the loader, and the section that each reads.
SECTIONS = {"read_root": "", "read_pipeline": "pipeline", "read_source": "source",
            "read_sink": "sink", "read_redis": "redis", "read_http": "http",
            "read_rabbitmq": "rabbitmq", "read_file": "file", "read_status": "status",
            "read_log": "log"}
# Those that several sections share.
SHARED = {"read_route": [("redis", "stream"), ("rabbitmq", "routing_key")],
          "read_codes": [("http", "codes")],
          "read_tls": [("redis", "tls"), ("http", "tls"), ("rabbitmq", "tls")]}

READS = re.compile(r"\w+\.(?:texts?|flag|size|number|duration|secrets?|choice|dictionary)"
                   r"\(\"(\w+)\"(?:,\s*([\w.>\-]+))?")
INNER = re.compile(r"map\.map\((?:\"(\w+)\"|key), \[&\]\(YamlMap& \w+\) \{(.*?)\}\);\n", re.S)


def read(*path):
    with open(os.path.join(pg.TOP, *path)) as f:
        return f.read()


def functions(text):
    """{name: body} of a C++ file that is laid out."""
    return {match[1]: match[2] for match in
            re.finditer(r"^\w[^\n]*?\b(\w+)\([^;{]*\{\n(.*?)^\}", text, re.M | re.S)}


def keys():
    """{"section.key": what tests may call its field}"""
    found = {}

    def add(prefix, text):
        for key, field in READS.findall(text):
            full = ".".join(prefix + [key])
            names = {key, re.split(r"[.>]", field)[-1], "_".join(full.split(".")[1:])}
            found[full] = names - {""}

    for name, body in functions(read("forwarder", "app", "config.cc")).items():
        if name in SECTIONS:
            prefixes = [[SECTIONS[name]] if SECTIONS[name] else []]
        elif name in SHARED:
            prefixes = [list(where) for where in SHARED[name]]
        else:
            continue
        for prefix in prefixes:
            add(prefix[:1], INNER.sub("", body))
            for key, text in INNER.findall(body):
                add(prefix[:1] + [key or prefix[1]], text)
    return found


def declared():
    """{key: [tests]}: what tests of pytest say that they show."""
    found = {}
    for path in glob.glob(os.path.join(pg.TOP, "regress", "e2e", "test_*.py")):
        for match in re.finditer(r"@pytest\.mark\.effect\(([^)]*)\)(?:\s*@[^\n]*)*\s*def (\w+)",
                                 read(path)):
            for key in re.findall(r"\"([\w.]+)\"", match[1]):
                found.setdefault(key, []).append(match[2])
    return found


def section_of(config, key):
    """The lines of a configuration, as the tests write them, in which a key of a section can be."""
    section = key.split(".")[0] if "." in key else ""
    source = re.search(r"^    source:\n(.*?)^    sinks:\n", config, re.M | re.S)
    sinks = re.split(r"^      - (?=type)", re.search(r"^    sinks:\n(.*?)^(?:    \w|status:)", config,
                                                     re.M | re.S)[1], flags=re.M)[1:]
    if section == "source":
        return source[1]
    if section == "sink":
        return "\n".join(sinks)
    if section in ("redis", "http", "rabbitmq", "file"):
        return "\n".join(sink for sink in sinks if re.match(rf"type: {section}\b", sink))
    return config.replace(source[1], "").replace("\n".join(sinks), "")


def is_used(config, key):
    return re.search(rf"\b{key.split('.')[-1]}:", section_of(config, key)) is not None


def shown_by_sink_tests(fields_of):
    """Keys that TESTs of their sinks show, and that the test of the loader has, too."""
    loader = read("forwarder", "test", "app", "config_test.cc")
    shown = set()
    for key, fields in fields_of.items():
        section = key.split(".")[0]
        if section not in ("redis", "http", "rabbitmq"):
            continue
        text = "".join(read(path) for path in sorted(glob.glob(os.path.join(
            pg.TOP, "forwarder", "test", "sink", f"{section}*_test.cc"))))
        field = r"\.(?:" + "|".join(fields) + r")\b"
        setting = field + r"(?:\[[^]]*\]|\.\w+back|\.emplace|\.fallback)?(?: = |\(|\{)"
        helpers = [name for name, body in functions(text).items()
                   if re.search(setting, body) and not name.startswith("TEST")]
        helper = r"\b(?:" + "|".join(helpers) + r")\(" if helpers else r"(?!)"
        tests = re.findall(r"^TEST\w*\(.*?^\}", text, re.M | re.S)
        if (any(re.search(setting, test) or re.search(helper, test) for test in tests
                if "EXPECT" in test or "ASSERT" in test)
                and re.search(rf"EXPECT\w*\(.*\b{section}(?:\.\w+)?{field}", loader)):
            shown.add(key)
    return shown
