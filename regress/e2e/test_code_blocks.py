"""The code blocks of the README and of the pages in docs/ do what they say: pasted in order, on fresh servers.

A page is one shell script. A block `sh` is a part of this script. A block `sql` goes to psql, the configuration in
`yaml` to `walspout check`, and `conf` to its server. A block `json` is parsed. A block `text` is for people.
"""

import contextlib
import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from harness import kafka, postgres as pg, redis
from harness.forwarder import PROGRAM
from harness.ports import free_port
from test_documents import SECRETS, pages, read

LANGUAGES = ["sh", "sql", "yaml", "conf", "json", "text"]

# Commands that no page's test can run, by their beginning: what runs them, or replaces them.
ELSEWHERE = {
    "make demo": "test_the_demo runs it, without the building",
    "make deps": "it installs to the system",
    "sudo -iu postgres createuser": "the private server has these settings, and its user is a superuser",
    "sudo cp /usr/share/doc/walspout": "a service manager is not there; regress/packages runs the unit's command",
    "cd forwarder/packaging/container": "regress/packages/containers runs the services",
    "kubectl": "a cluster is not there; test_forwarder_packaging.py reads the manifests",
    "walspout adopt": "test_forwarder_upgrade.py has an upgraded server",
}

# What the pages take for granted: the README's database, and a role.
SHOP = """\
createdb shop
psql -q shop -c "CREATE EXTENSION walspout" -c "CREATE TABLE orders (id bigint PRIMARY KEY, status text)" \\
    -c "CREATE TABLE customers (id bigint PRIMARY KEY, name text)"
psql -q shop -c "CREATE ROLE app" -c "CREATE ROLE walspout LOGIN REPLICATION"
psql -q shop -c "CREATE DATABASE copies"
"""

BEFORE = {
    "docs/operating.md": """\
psql -q shop -c "REVOKE CREATE ON SCHEMA public FROM walspout" -c "DROP ROLE walspout"
touch rejected.jsonl
""",
    "docs/monitoring.md": """\
export TOKEN=$CONTROL_TOKEN
printf 'status: {listen: "127.0.0.1:8470", control: "%s"}\\n' "$TOKEN" >> orders.yaml
walspout run orders.yaml &
for i in $(seq 100); do ! curl -fs http://127.0.0.1:8470/readyz >/dev/null || break; sleep 0.1; done
""",
}
AFTER = {
    "docs/monitoring.md": """\
for i in $(seq 100); do ! curl -s http://127.0.0.1:8470/status | grep '"paused"' || break; sleep 0.1; done
[ "$i" -lt 100 ]
""",
}


def blocks(page):
    """[(language, text)]: each block has a language."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", read(page), re.M | re.S)
    return [(language, re.sub(f"^{indent}", "", text, flags=re.M)) for indent, language, text in found]


# The pages of docs/examples have servers of their own: test_forwarder_examples.py.
PAGES = [page for page in pages() if page == "README.md"
         or page.startswith("docs/") and not page.startswith("docs/examples/") and blocks(page)]


def filled(fragment):
    """Completes a part of a configuration, in which the part keeps its place."""
    whole = yaml.safe_load(fragment)
    if not whole:
        return None
    sink_keys = {"only", "stream", "brokers"} & set(whole)
    if sink_keys:
        kind = {"type": "kafka", "topic": "t"} if "brokers" in whole else {"type": "redis", "url": "redis://127.0.0.1:6379"}
        whole = {"sinks": [{**kind, **whole}]}
    if not {"pipelines", "status"} & set(whole):
        whole = {"pipelines": [whole]}
    whole.setdefault("pipelines", [{}])
    for pipeline in whole["pipelines"]:
        pipeline.setdefault("name", "orders")
        pipeline.setdefault("source", {"dsn": "postgresql:///shop", "slot": "walspout_orders"})
        pipeline.setdefault("sinks", [{"type": "null"}])
    return yaml.safe_dump(whole)


def script(page, folder):
    """The page as one shell script."""
    parts = []
    for number, (language, text) in enumerate(blocks(page)):
        assert language in LANGUAGES, f"{page}: a block without a known language: {text}"
        if language == "sh" and not text.startswith(tuple(ELSEWHERE)):
            parts.append(text)
        elif language == "sql":
            parts.append(f"psql -q -v ON_ERROR_STOP=1 shop <<'SQL'\n{text}SQL\n")
        elif language == "yaml" and filled(text):
            (folder / f"{number}.yaml").write_text(filled(text))
            parts.append(f"good {number}.yaml\n")
        elif language == "conf":
            (folder / f"{number}.conf").write_text(text)
            parts.append(("hba" if "scram" in text else "nats") + f" {number}.conf\n")
        elif language == "json":
            parse(text)
    return "".join(parts)


def parse(text):
    """Documents, one after the other."""
    while text.strip():
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
        text = text.lstrip()[end:]


FUNCTIONS = """\
good() { walspout check "$1" > "$1.said" 2>&1 || true; grep -q "is good" "$1.said" || { cat "$1" "$1.said"; exit 1; }; }
hba() {
    cat "$1" >> "$(psql -Atc 'SHOW hba_file')" && psql -qAtc "SELECT pg_reload_conf()" > reloaded
    ! psql -Atc "SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL" | grep .
}
nats() {
    printf 'authorization: {users: [{user: walspout, password: p,\\n%s}]}\\n' "$(cat "$1")" > whole.conf
    nats-server -t -c whole.conf
}
"""


@contextlib.contextmanager
def kafka_acls(folder, use):
    """A broker with access rights, and the command of its distribution that changes them."""
    if not use:
        yield None
        return
    more = ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "super.users=User:ANONYMOUS\n")
    with kafka.Broker(str(folder), more=more) as broker:
        command = folder / "kafka-acls.sh"
        command.write_text(f"#!/bin/sh\nexec java -cp '{broker.classpath}' org.apache.kafka.tools.AclCommand \"$@\"\n")
        command.chmod(0o755)
        yield broker


def at_home(text, places):
    """The text with the addresses of the page's own servers."""
    for old, new in places.items():
        text = text.replace(old, new)
    return text


def paste(text, folder, environment):
    """The output of a shell. The shell ends at the first command that fails, with all that it started."""
    begin = FUNCTIONS + "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    with open(folder / "output", "w+") as output:
        done = subprocess.run(["bash", "-e"], input=begin + text, stdout=output, stderr=subprocess.STDOUT, text=True,
                              env=environment, cwd=folder, timeout=240)
        output.seek(0)
        said = output.read()
    assert done.returncode == 0, said
    return said


@pytest.mark.parametrize("page", [page for page in pages() if page == "README.md" or page.startswith("docs/")])
def test_every_block_has_a_language(page):
    outside = re.sub(r"^( *)```.*?^\1```$", "", read(page), flags=re.M | re.S)
    assert re.findall(r"\n\n((?: {4}.*\n)+)", outside) == []


@pytest.mark.parametrize("page", [pytest.param(page, marks=pytest.mark.long if "kafka" in page else ()) for page in PAGES])
def test_code_blocks(page, tmp_path):
    text = script(page, tmp_path)
    if page != "README.md":
        (tmp_path / "orders.yaml").write_text(filled("sinks: [{type: redis, url: 'redis://127.0.0.1:6379'}]"))
        text = SHOP + BEFORE.get(page, "") + text + AFTER.get(page, "")
    for secret in re.findall(r"file:/etc/walspout/(\w+)", read(page)):
        (tmp_path / secret).write_text(SECRETS["WEBHOOK_SECRET"])
    store = redis.Redis(str(tmp_path), port=free_port())
    with pg.WorkDir() as work, kafka_acls(tmp_path, "kafka-acls.sh" in text) as broker, store:
        server = pg.Cluster(pg.Installation(work)).start()
        places = {"127.0.0.1:6379": f"127.0.0.1:{store.port}", "redis-cli ": f"redis-cli -p {store.port} ",
                  "127.0.0.1:8470": f"127.0.0.1:{free_port()}", "file:/etc/walspout/": f"file:{tmp_path}/",
                  "timeout 5 pg_recvlogical": "! timeout 5 pg_recvlogical"}
        if broker:
            places["kafka-1:9092"] = broker.address
        for file in tmp_path.glob("*.yaml"):
            file.write_text(at_home(file.read_text(), places))
        path = [os.path.dirname(PROGRAM), str(tmp_path), server.installation.bindir, os.environ["PATH"], "/usr/sbin"]
        said = paste(at_home(text, places), tmp_path, {
            **os.environ, **SECRETS, "RABBITMQ_PASSWORD": "p", "PGHOST": server.host, "PGPORT": str(server.port),
            "PGUSER": pg.SUPERUSER, "PATH": os.pathsep.join(path)})
    if page == "README.md":
        readme(said)


def readme(said):
    """What the quick start is to show."""
    assert '"op":"c"' in said and '"after":{"id":7,"status":"new"}' in said, said
    assert '"op":"r"' in said and '"op":"u"' in said and '"status":"paid"' in said, said
    assert 'dropped slot "walspout_orders"' in said, said


def test_the_demo():
    done = subprocess.run([sys.executable, "-B", os.path.join(pg.TOP, "regress", "demo")], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    for reader in ("redis", "http", "rabbitmq"):
        assert reader in done.stdout
