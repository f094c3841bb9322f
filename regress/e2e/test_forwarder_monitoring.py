"""The alert rules and the dashboard: each of their metrics exists."""

import json
import os
import re
import shutil
import subprocess

from harness import postgres as pg
from harness.folders import TOP

FOLDER = os.path.join(TOP, "forwarder", "monitoring")
RULES = os.path.join(FOLDER, "walspout.rules.yaml")


def promtool(*words, **more):
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, **more)
    assert done.returncode == 0, done
    return done


def test_the_rules_are_good_and_fire_when_they_should(tmp_path):
    promtool("check", "rules", RULES)
    for name in os.listdir(FOLDER):
        shutil.copy(os.path.join(FOLDER, name), tmp_path)
    promtool("test", "rules", "walspout.rules_test.yaml", cwd=tmp_path)
    with open(RULES) as f, open(os.path.join(FOLDER, "walspout.rules_test.yaml")) as tests:
        alerts, tested = re.findall(r"alert: (\w+)", f.read()), tests.read()
    assert alerts and all(f"alertname: {alert}" in tested for alert in alerts)


def test_every_metric_that_is_asked_for_is_there(alone, alone_fwd):
    alone.psql("ALTER SYSTEM SET max_slot_wal_keep_size = '400MB'")
    alone.psql("SELECT pg_reload_conf()")
    alone.psql("CREATE TABLE orders (id int PRIMARY KEY)")
    with open(os.path.join(FOLDER, "grafana.json")) as f:
        panels = json.load(f)["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len({panel["id"] for panel in panels}) == len(panels)
    with open(RULES) as f:
        asked = set(re.findall(r"\b(?:walspout|process)_\w+", " ".join(queries) + f.read()))
    assert len(asked) > 15
    with alone_fwd() as forwarder:
        alone.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: "walspout_slot_safe_bytes" in forwarder.get("/metrics")[1], 60, what="the slot's figures")
        there = {name.split("{")[0] for name in forwarder.metrics()}
        assert asked <= there, asked - there
    for query in queries:
        # Grafana replaces its variable. promtool parses what is in a rule.
        rule = json.dumps({"groups": [{"name": "g", "rules": [
            {"record": "x:y", "expr": query.replace("$__rate_interval", "5m")}]}]})
        done = subprocess.run(["promtool", "check", "rules", "/dev/stdin"], input=rule, capture_output=True, text=True)
        assert done.returncode == 0, (query, done)
