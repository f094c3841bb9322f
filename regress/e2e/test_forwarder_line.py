"""The command line, as people find it: help, versions, mistakes, a configuration to begin with."""

import json
import os
import re
import subprocess

import pytest
from harness.forwarder import PROGRAM, run


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_the_version_names_the_commit(word):
    done = run(word)
    assert done.returncode == 0
    assert re.fullmatch(r"walspout \d+\.\d+( \([0-9a-f]{10,}\))?\n", done.stdout)


def test_help_is_a_command_too():
    assert run("help").stdout == run("--help").stdout
    assert run("help", "check").stdout == run("check", "--help").stdout
    nothing = run()
    assert nothing.returncode == 2
    assert nothing.stderr == run("--help").stdout


@pytest.mark.parametrize("command, arguments", [
    ("check", "FILE"), ("backfill", "CONFIG [TABLE...]"), ("sink-test", "COMMAND [ARG...]")])
def test_the_usage_names_the_arguments(command, arguments):
    shown = run(command, "--help").stdout
    assert f"\nUsage: walspout {command} [OPTIONS] {arguments}\n" in shown
    assert "COMMAND --help" not in shown, "that is for the list of commands"


@pytest.mark.parametrize("word, said", [
    ("chek", 'unknown command "chek": did you mean "check"?'),
    ("verison", 'did you mean "version"?'),
    ("xyzzyxyzzy", 'unknown command "xyzzyxyzzy"\n'),
    ("rnu", 'did you mean "run"?'),
    ("--bogus", 'unknown option "--bogus"'),
    ("--versoin", 'unknown option "--versoin": did you mean "--version"?')])
def test_a_near_miss_is_named(word, said):
    done = run(word, "file")
    assert done.returncode == 2
    assert said in done.stderr and "--help" in done.stderr


@pytest.mark.parametrize("words, said", [
    (["check", "--jsno", "file"], 'unknown option "--jsno" of check: did you mean "--json"?\n'),
    (["status", "--wach"], 'unknown option "--wach" of status: did you mean "--watch"?\n'),
    (["run", "--hlep"], 'unknown option "--hlep" of run: did you mean "--help"?\n'),
    (["run", "--zzzzzzzz", "file"], 'unknown option "--zzzzzzzz" of run\n'),
    (["run"], "FILE is required\n")])
def test_a_near_miss_of_an_option_is_named(words, said):
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr and "--help" in done.stderr


def test_letters_that_changed_places_are_a_near_miss(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("pipelines:\n  - name: a\n    source: {dsn: 'host=/x', slot: s}\n    sinks: [{type: redis, ulr: x}]\n")
    assert 'unknown key "ulr" in an item of "sinks": did you mean "url"?' in run("check", str(path)).stderr


def test_a_configuration_to_begin_with(tmp_path):
    path = tmp_path / "walspout.yaml"
    done = run("init", str(path))
    assert done.returncode == 0 and f"walspout check {path}" in done.stdout
    assert os.stat(path).st_mode & 0o77 == 0, "people put passwords into it"
    text = path.read_text()
    assert run("init", "-").stdout == text
    again = run("init", str(path))
    assert again.returncode == 1 and "is there already" in again.stderr
    assert path.read_text() == text
    # What it has as comments is good, too.
    uncommented = re.sub(r"^( *)# (?=(- |  )?[a-z_]+: )", r"\1", text, flags=re.M)
    assert uncommented.count("\n") == text.count("\n") and len(re.findall("^ *#", uncommented, re.M)) == 2
    for good in (text, uncommented):
        path.write_text(good)
        assert f"configuration {path} is good" in run("check", str(path)).stdout, run("check", str(path)).stderr


def test_a_configuration_from_standard_input():
    done = subprocess.run([PROGRAM, "check", "-"], input="pipelines:\n  - sorce: {dsn: secret}\n", text=True,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert 'standard input:2:5: unknown key "sorce" in an item of "pipelines"' in done.stderr


def test_the_key_that_is_wrong_is_shown_and_no_value(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("pipelines:\n  - name: a\n    sorce: {dsn: hush}\n    sinks: [{type: redis, url: hush, pasword: hush}]\n")
    said = run("check", str(path)).stderr
    assert f"{path}:3:5: unknown key" in said
    assert "  3 |     sorce: …\n    |     ^~~~~\n" in said
    assert "  4 | … pasword: …\n    |   ^~~~~~~\n" in said
    assert "hush" not in said


def test_findings_for_programs(db, fwd):
    forwarder = fwd()
    done = run("check", "--json", forwarder.config)
    assert done.returncode == 0, done.stdout
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert {finding["about"] for finding in findings} >= {f"pipeline {forwarder.slot}"} or findings
    assert {finding["level"] for finding in findings} <= {"ok", "warn"}
    assert any(finding["what"] == "wal_level is logical" for finding in findings)
    with open(forwarder.config, "a") as config:
        config.write("\nbogus: 1\n")
    wrong = run("check", "--json", forwarder.config)
    assert wrong.returncode == 2
    finding = json.loads(wrong.stdout)
    with open(forwarder.config) as config:
        line = len(config.readlines())
    assert finding["level"] == "error" and finding["about"] == f"configuration {forwarder.config}:{line}:1"
    assert finding["what"].startswith('unknown key "bogus"')
