"""Completions of shells and the manual page have everything that the help has."""

import os
import re
import subprocess

import pytest
from harness.forwarder import PROGRAM, run


def ended(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **more)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def commands():
    listed = run("--help").stdout.split("ubcommands:\n", 1)[-1]
    return re.findall(r"^  ([a-z][a-z-]*) ", listed, re.M)


def bash(tmp_path, *words):
    """What bash offers for the last of the words."""
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").stdout)
    listed = " ".join(f"'{word}'" for word in ("walspout", *words))
    return ended(["bash", "-c", f"source {script}; COMP_WORDS=({listed}); COMP_CWORD={len(words)}; _walspout; "
                                "printf '%s\\n' \"${COMPREPLY[@]}\""], cwd=tmp_path).split()


def test_bash_completes_commands_options_and_files(tmp_path):
    (tmp_path / "walspout.yaml").write_text("")
    assert len(commands()) > 10
    assert set(commands()) <= set(bash(tmp_path, ""))
    assert bash(tmp_path, "ch") == ["check"]
    assert bash(tmp_path, "help", "bac") == ["backfill"]
    assert bash(tmp_path, "check", "wal") == ["walspout.yaml"]
    assert bash(tmp_path, "check", "--js") == ["--json"]
    assert bash(tmp_path, "sink-test", "wal") == ["walspout.yaml"]
    assert set(bash(tmp_path, "backfill", "--")) >= {"--where", "--rate", "--status", "--pipeline", "--help"}
    assert bash(tmp_path, "backfill", "--where", "wal") == []
    assert bash(tmp_path, "completion", "") == ["bash", "zsh", "fish"]


def test_fish_completes_commands_options_and_files(tmp_path):
    (tmp_path / "walspout.yaml").write_text("")
    script = tmp_path / "walspout.fish"
    script.write_text(run("completion", "fish").stdout)

    def fish(line):
        out = ended(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], cwd=tmp_path,
                    env={**os.environ, "HOME": str(tmp_path)})
        return [offer.split("\t")[0] for offer in out.splitlines()]
    assert set(commands()) <= set(fish("walspout "))
    assert fish("walspout ch") == ["check"]
    assert "--json" in fish("walspout check --j")
    assert "walspout.yaml" in fish("walspout check wal")
    assert set(fish("walspout completion ")) == {"bash", "zsh", "fish"}


def test_zsh_completes_commands_and_options(tmp_path):
    """In a terminal of its own, as zsh completes only there."""
    (tmp_path / "_walspout").write_text(run("completion", "zsh").stdout)
    ended(["zsh", "-n", str(tmp_path / "_walspout")])

    def completes(line, word):
        script = f"""
            zmodload zsh/zpty
            zpty shell zsh -f -i
            zpty -w shell 'PS1=; fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -D; zstyle ":completion:*" list-grouped false; print rea''dy'
            zpty -r shell got '*ready*'
            zpty -w -n shell $'{line}\\t\\t'
            for i in {{1..300}}; do
                while zpty -r -t shell part; do all+=$part; done
                [[ $all == *{word}* ]] && exit
                sleep 0.1
            done
            print -r -- $all
            exit 1
        """
        done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "TERM": "dumb", "COLUMNS": "200"})
        assert done.returncode == 0, done

    completes("walspout che", "check")
    completes("walspout check --js", "--json")
    completes("walspout backfill CONFIG TABLE --wh", "--where")


def test_the_manual_page_has_all_commands_and_no_errors(tmp_path):
    page = tmp_path / "walspout.1"
    page.write_text(run("man").stdout)
    assert ended(["groff", "-man", "-ww", "-z", "-Tutf8", str(page)]) == ""
    shown = ended(["groff", "-man", "-Tascii", "-P-cbou", str(page)])
    for command in commands():
        assert re.search(rf"^ +{command}$", shown, re.M), command
        for option in re.findall(r"--[a-z-]+", run(command, "--help").stdout):
            if option != "--help":
                assert option in shown, (command, option)
    assert "SIGHUP" in shown and "1" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_they_are_made_by_the_build_and_installed():
    built = os.path.dirname(PROGRAM)
    for name, words in (("walspout.1", ["man"]), ("walspout.bash", ["completion", "bash"]),
                        ("walspout.zsh", ["completion", "zsh"]), ("walspout.fish", ["completion", "fish"])):
        with open(os.path.join(built, name)) as f:
            assert f.read() == run(*words).stdout


@pytest.mark.parametrize("words", [["completion"], ["completion", "csh"]])
def test_other_shells_are_an_error(words):
    assert run(*words).returncode == 2
