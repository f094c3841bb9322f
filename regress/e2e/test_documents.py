"""The example configuration and the README keep up with the configuration loader."""

import os
import re
import subprocess
import sys

from harness import postgres as pg
import config_keys
import pytest

PROGRAM = os.environ.get("WALSPOUT") or os.path.join(pg.TOP, "build", "forwarder", "walspout")
EXAMPLE = os.path.join(pg.TOP, "forwarder", "walspout.example.yaml")
SECRETS = {"WEBHOOK_SECRET": "whsec_dGhlIGtleSBvZiBhIHRlc3QgYW5kIG5vdGhpbmcgZWxzZQ==",
           "REDIS_PASSWORD": "p", "NATS_PASSWORD": "p", "TOKEN": "t", "CONTROL_TOKEN": "0123456789abcdef0123456789abcdef", "HASH_KEY": "k"}


def read(*path):
    with open(os.path.join(pg.TOP, *path)) as f:
        return f.read()


def keys():
    """The last part of each key of the program."""
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


def test_the_tables_of_the_pages_are_those_of_the_program():
    done = subprocess.run([os.path.join(pg.TOP, ".ci", "pages"), "--check"], capture_output=True, text=True,
                          env={**os.environ, "WALSPOUT": PROGRAM})
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_up_to_date_is_found(tmp_path):
    for name in (os.path.join("docs", "sinks.md"), os.path.join("docs", "configuration.md"), os.path.join(".ci", "pages")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(read(name))
    page = tmp_path / "docs" / "configuration.md"
    page.write_text(page.read_text().replace("| `drain` | `10s` |", "| `drain` | `11s` |"))
    pages = [sys.executable, str(tmp_path / ".ci" / "pages")]
    env = {**os.environ, "WALSPOUT": PROGRAM}
    done = subprocess.run([*pages, "--check"], capture_output=True, text=True, env=env)
    assert done.returncode == 1 and "configuration.md. Run: make pages" in done.stderr
    assert subprocess.run(pages, env=env).returncode == 0
    assert page.read_text() == read("docs", "configuration.md")


def pages():
    """The documents for people, as paths in the project."""
    found = subprocess.run(["git", "ls-files", "*.md"], cwd=pg.TOP, capture_output=True, text=True).stdout.split()
    if not found:       # not a clone
        found = [os.path.relpath(os.path.join(folder, name), pg.TOP) for folder, _, names in os.walk(pg.TOP)
                 for name in names if name.endswith(".md") and "build" not in folder.split(os.sep)]
    return found


def anchors(text):
    """The anchors of a page, as GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^    .*$", "", text, flags=re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings} | \
        set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page):
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if re.match(r"\w+://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(pg.TOP, path)):
            lost.append(target)
        elif anchor and anchor not in anchors(read(path)):
            lost.append(target)
    assert lost == []


@pytest.mark.long
def test_the_site_has_no_broken_link():
    done = subprocess.run([sys.executable, os.path.join(pg.TOP, ".ci", "site")], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(os.path.join(pg.TOP, "build", "site", "html", "docs", "configuration.html")) as f:
        assert "status.listen" in f.read()


def test_the_documents_have_every_metric():
    code = "\n".join(re.findall(r"`([^`\n]+)`", read("docs", "monitoring.md")))
    names = re.findall(r'"walspout_(\w+)"', read("forwarder", "status", "report.cc"))
    assert names and [name for name in names if not re.search(rf"^{name}$", code, re.M)] == []
