"""The example configuration and the README keep up with the configuration loader."""

import os
import re
import subprocess

import cluster as pg
import config_keys
import pytest

PROGRAM = os.environ.get("WALSPOUT") or os.path.join(pg.TOP, "build", "forwarder", "walspout")
EXAMPLE = os.path.join(pg.TOP, "forwarder", "walspout.example.yaml")
SECRETS = {"WEBHOOK_SECRET": "whsec_dGhlIGtleSBvZiBhIHRlc3QgYW5kIG5vdGhpbmcgZWxzZQ==",
           "REDIS_PASSWORD": "p", "NATS_PASSWORD": "p", "TOKEN": "t"}


def read(*path):
    with open(os.path.join(pg.TOP, *path)) as f:
        return f.read()


def keys():
    """The last part of each key that the program knows."""
    return sorted({key.split(".")[-1] for key in config_keys.keys()})


def with_everything(text):
    """The example with all that is commented out."""
    return re.sub(r"^( *)# ( *\w+: ?\S?.*)$", r"\1\2", text, flags=re.M)


@pytest.mark.parametrize("change", [str, with_everything], ids=["as it is", "with everything"])
def test_the_example_is_a_good_configuration(tmp_path, change):
    path = tmp_path / "walspout.yaml"
    path.write_text(change(read(EXAMPLE)))
    done = subprocess.run([PROGRAM, "check", str(path)], env={**os.environ, **SECRETS},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert "is good" in done.stdout.splitlines()[0], done.stderr


def test_the_example_has_every_key():
    text = with_everything(read(EXAMPLE))
    assert [key for key in keys() if not re.search(rf"\b{key}:", text)] == []


def test_the_readme_has_every_key():
    code = "\n".join(re.findall(r"`([^`\n]+)`", read("README.md")))
    assert [key for key in keys() if not re.search(rf"\b{key}\b", code)] == []


def test_the_readme_has_every_metric():
    code = "\n".join(re.findall(r"`([^`\n]+)`", read("README.md")))
    names = re.findall(r'"walspout_(\w+)"', read("forwarder", "status", "report.cc"))
    assert names and [name for name in names if not re.search(rf"^{name}$", code, re.M)] == []
