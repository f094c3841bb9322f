"""The container images, compose.yaml, the manifests of Kubernetes and the workflows match the product.

No engine runs here. `make check-container` runs the steps of the images in systems of debootstrap, and
`make check-deb` tests the Debian packages.
"""

import glob
import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from harness import postgres as pg
from harness.forwarder import PROGRAM
from harness.ports import free_port

PACKAGING = os.path.join(pg.TOP, "forwarder", "packaging")
CONTAINERFILE = os.path.join(PACKAGING, "container", "Containerfile")
sys.path.append(os.path.join(pg.TOP, "regress", "packages"))
sys.path.append(os.path.join(pg.TOP, "regress", "versions"))

import containerfile  # noqa: E402
import releases  # noqa: E402


def text(*path):
    with open(os.path.join(pg.TOP, *path)) as f:
        return f.read()


def manifests():
    """{kind: manifest}: there is one of each."""
    found = list(yaml.safe_load_all(text(PACKAGING, "kubernetes", "walspout.yaml")))
    by_kind = {manifest["kind"]: manifest for manifest in found}
    assert len(by_kind) == len(found)
    return by_kind


def compose():
    return yaml.safe_load(text(PACKAGING, "container", "compose.yaml"))


def image(name):
    return next(stage for stage in containerfile.stages(text(CONTAINERFILE)) if stage.name == name)


def container():
    return manifests()["Deployment"]["spec"]["template"]["spec"]["containers"][0]


CONFIGURATIONS = {
    "compose": lambda: text(PACKAGING, "container", "walspout.yaml"),
    "kubernetes": lambda: manifests()["ConfigMap"]["data"]["walspout.yaml"],
}


def secrets(name):
    """The variables that the configuration gets there."""
    if name == "compose":
        return compose()["services"]["walspout"]["environment"]
    return {variable["name"]: "secret" for variable in container()["env"]}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_configuration_is_good(name, tmp_path):
    """Runs with only the variables that it gets there."""
    (tmp_path / "dsn").write_text("postgresql://walspout@postgres.invalid/shop")
    config = CONFIGURATIONS[name]()
    (tmp_path / "walspout.yaml").write_text(config.replace("/run/secrets/walspout/", f"{tmp_path}/"))
    done = subprocess.run([PROGRAM, "check", str(tmp_path / "walspout.yaml")], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, env={"PATH": os.environ["PATH"], **secrets(name)})
    assert "is good" in done.stdout.splitlines()[0], done.stdout + done.stderr
    for variable in re.findall(r"\$\{(\w+)\}", config):
        assert variable in secrets(name)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_places_and_ports_agree(name):
    """The configuration listens where the image says, and keeps its state in the volume."""
    config = yaml.safe_load(CONFIGURATIONS[name]())
    built = image("walspout")
    assert config["status"]["listen"] == f"0.0.0.0:{built.word('EXPOSE')}"
    assert config["state"] == built.word("VOLUME") == built.word("WORKDIR")
    drain = int(config.get("drain", "10s").removesuffix("s"))
    if name == "compose":
        service = compose()["services"]["walspout"]
        grace, ports = int(service["stop_grace_period"].removesuffix("s")), service["ports"]
        assert ports == [f"127.0.0.1:{built.word('EXPOSE')}:{built.word('EXPOSE')}"]
        assert f"walspout:{config['state']}" in service["volumes"]
        file = next(volume for volume in service["volumes"] if volume.startswith("./walspout.yaml"))
        assert file.split(":")[1] == built.json("CMD")[1]
    else:
        pod = manifests()["Deployment"]["spec"]["template"]["spec"]
        grace = pod["terminationGracePeriodSeconds"]
        assert container()["ports"] == [{"name": "status", "containerPort": int(built.word("EXPOSE"))}]
        assert container()["args"] == built.json("CMD")
        mounts = {mount["mountPath"]: mount["name"] for mount in container()["volumeMounts"]}
        assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
        assert config["state"] in mounts and os.path.dirname(built.json("CMD")[1]) in mounts
        assert all(os.path.dirname(path) in mounts for path in re.findall(r"file:(\S+)", CONFIGURATIONS[name]()))
    assert grace > drain


def test_the_image_runs_as_a_user_without_rights():
    built = image("walspout")
    uid, gid = built.word("USER").split(":")
    assert int(uid) > 0 and f"--uid {uid}" in built.text and f"--gid {gid}" in built.text
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert pod["runAsNonRoot"] and (pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (int(uid), int(gid), int(gid))


def test_the_commands_of_the_image_are_those_of_the_program():
    entry, command = image("walspout").json("ENTRYPOINT"), image("walspout").json("CMD")
    assert entry == [os.path.basename(PROGRAM)]
    done = subprocess.run([PROGRAM, command[0], "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0


def test_one_replica_that_ends_before_the_next_begins():
    spec = manifests()["Deployment"]["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}
    labels = spec["template"]["metadata"]["labels"].items()
    assert spec["selector"]["matchLabels"].items() <= labels
    assert manifests()["Service"]["spec"]["selector"].items() <= labels
    claim = next(volume for volume in spec["template"]["spec"]["volumes"] if "persistentVolumeClaim" in volume)
    assert claim["persistentVolumeClaim"]["claimName"] == manifests()["PersistentVolumeClaim"]["metadata"]["name"]
    service = manifests()["Service"]["spec"]["ports"][0]
    assert service["targetPort"] == container()["ports"][0]["name"]
    secret = manifests()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert secret["prometheus.io/port"] == str(container()["ports"][0]["containerPort"])


def test_probes_ask_what_the_program_answers(db, fwd):
    """While a receiver is down, the program is alive and not ready; also on the address of a container."""
    probes = {kind: container()[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")}
    assert all(probe["port"] == container()["ports"][0]["name"] for probe in probes.values())
    paths = {kind: probe["path"] for kind, probe in probes.items()}
    health = next(argument for argument in image("walspout").health() if argument.startswith("http"))
    assert re.fullmatch(rf"http://127.0.0.1:{image('walspout').word('EXPOSE')}{paths['liveness']}", health)
    metrics = manifests()["Deployment"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]
    db.psql("CREATE TABLE orders (id int PRIMARY KEY)")
    with fwd() as forwarder:
        for path in [*paths.values(), metrics]:
            pg.wait_until(lambda: forwarder.get(path)[0] == 200, 60, what=path)
    sink = f"      - {{type: redis, url: redis://127.0.0.1:{free_port()}, connect_timeout: 1s}}\n"
    with fwd(sinks=sink, name="down").start() as forwarder:
        db.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: forwarder.get(paths["readiness"])[0] == 503, 60, what="an outage that shows")
        assert forwarder.get(paths["liveness"])[0] == 200


def test_compose_names_what_is_there():
    services = compose()["services"]
    names = {stage.name for stage in containerfile.stages(text(CONTAINERFILE))}
    for service in services.values():
        if "build" in service:
            assert service["build"]["target"] in names
            context = os.path.normpath(os.path.join(PACKAGING, "container", service["build"]["context"]))
            assert context == pg.TOP and os.path.exists(os.path.join(context, service["build"]["dockerfile"]))
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose()["volumes"] or os.path.exists(os.path.join(PACKAGING, "container", source))
        assert set(service.get("depends_on", {})) <= set(services)
    config = yaml.safe_load(CONFIGURATIONS["compose"]())["pipelines"][0]
    assert re.search(r"@(\w+)/(\w+)", config["source"]["dsn"]).groups() == (
        "postgres", services["postgres"]["environment"]["POSTGRES_DB"])
    assert config["sinks"][0]["url"] == "redis://redis:6379" and {"postgres", "redis"} < set(services)


def test_the_database_of_compose_is_made(alone):
    """The server accepts its command line, and the statements of shop.sql."""
    words = compose()["services"]["postgres"]["command"]
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    assert words[0] == "postgres" and settings["wal_level"] == "logical"
    libraries = [name.strip() for name in settings["output_plugin_libraries"].split(",")]
    assert {"pgoutput", "walspout"} <= set(libraries)
    alone.psql(text(PACKAGING, "container", "shop.sql"))
    config = yaml.safe_load(CONFIGURATIONS["compose"]())["pipelines"][0]["source"]
    assert alone.value("SELECT string_agg(pubname, ',') FROM pg_publication") == ",".join(config["publications"])
    assert alone.value("SELECT rolreplication FROM pg_roles WHERE rolname = 'walspout'") is True


@pytest.mark.parametrize("path", glob.glob(os.path.join(pg.TOP, ".github", "workflows", "*")))
def test_workflows_run_what_is_there(path):
    jobs = yaml.safe_load(text(path))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    for job in jobs.values():
        assert job["runs-on"] and job["timeout-minutes"] and all("uses" in step or "run" in step for step in job["steps"])
        for step in job["steps"]:
            folder = step.get("working-directory", ".")
            assert os.path.isdir(os.path.join(pg.TOP, folder))
    assert "bash .ci/run" in commands
    rules = text("Makefile") + text("regress", "regress.mk")
    for command in commands:
        for words in [shlex.split(part) for part in command.split("&&") if part.strip().startswith("make ")]:
            assert re.search(rf"^{words[1]}:", rules, re.M), command


def test_workflows_run_the_versions_that_are_known():
    import roots
    import trees
    jobs = yaml.safe_load(text(".github", "workflows", "check.yml"))["jobs"]
    assert sorted(jobs["versions"]["strategy"]["matrix"]["version"]) == sorted([*roots.VERSIONS, *trees.VERSIONS])
    assert jobs["packages"]["strategy"]["matrix"]["release"] == list(releases.RELEASES)


def test_the_version_of_the_packages():
    release = re.search(r'"version": "([\d.]+)"', text("META.json"))[1]
    said = subprocess.run([os.path.join(PACKAGING, "deb"), "version"], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(rf"{re.escape(release)}(~\d+\.g[0-9a-f]+)?\n", said.stdout), said
    assert container()["image"] == f"walspout:{release}"


@pytest.mark.skipif(PROGRAM != os.path.join(pg.TOP, "build", "forwarder", "walspout"), reason="would compile")
def test_uninstall_removes_what_install_writes(tmp_path):
    def files():
        return [name for _, _, names in os.walk(tmp_path) for name in names]
    for target, remain in (("install-forwarder", True), ("uninstall-forwarder", False)):
        subprocess.run(["make", "-s", target, f"DESTDIR={tmp_path}"], cwd=pg.TOP, check=True, stdout=subprocess.DEVNULL)
        assert bool(files()) == remain, files()
