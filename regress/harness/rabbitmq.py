"""A private RabbitMQ. Its clients use pika, which is imported where it is needed."""

import os
import subprocess

from harness.ports import free_port
from harness.processes import die_with_parent
from harness.server import Server

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"       # the one in /usr/sbin changes the user
CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
NODE = "walspout@localhost"


def is_installed():
    return os.access(PROGRAM, os.X_OK)


class RabbitMQ(Server):
    """conf: lines of rabbitmq.conf. erlang: options of the virtual machine."""

    patience = 120

    def __init__(self, place, port=None, conf="", erlang="+S 2:2"):
        super().__init__(place, "rabbitmq")
        self.port = port or free_port()
        self.home = home = self.work.new_folder("rabbitmq")
        files = {"rabbitmq.conf": f"listeners.tcp.1 = 127.0.0.1:{self.port}\ndisk_free_limit.absolute = 1MB\n{conf}",
                 "plugins": "[].", "env.conf": ""}
        for name, text in files.items():
            with open(os.path.join(home, name), "w") as f:
                f.write(text)
        self.work.own_tree(home)
        self.epmd_port = free_port()
        self.epmd = None
        self.env = {"HOME": home, "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
                    "ERL_CRASH_DUMP_SECONDS": "0",
                    "RABBITMQ_NODENAME": NODE,
                    "RABBITMQ_DIST_PORT": str(free_port()),
                    "RABBITMQ_CONF_ENV_FILE": f"{home}/env.conf",
                    "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
                    "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
                    "RABBITMQ_MNESIA_BASE": f"{home}/data", "RABBITMQ_LOG_BASE": f"{home}/log",
                    "RABBITMQ_PID_FILE": f"{home}/pid",
                    # The script executes the broker, so signals reach the broker.
                    "RABBITMQ_ALLOW_INPUT": "1",
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-noinput +sbwt none {erlang}"}

    def command(self):
        return [PROGRAM]

    def launch(self, **more):
        if not self.epmd or self.epmd.poll() is not None:
            self.epmd = subprocess.Popen(
                ["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **self.work.as_user())
        super().launch(**more)

    def stop(self, timeout=20):
        done = super().stop(timeout)
        self._end_epmd()
        return done

    def kill(self):
        super().kill()
        self._end_epmd()

    def _end_epmd(self):
        """The name of a killed broker stays registered for a moment."""
        if self.epmd:
            self.epmd.kill()
            self.epmd.wait()
            self.epmd = None

    def channel(self):
        """(connection, channel)"""
        import pika
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0))
        return connection, connection.channel()

    def control(self, *args, timeout=120):
        """Runs rabbitmqctl."""
        done = subprocess.run([CONTROL, "-n", NODE, *args], env={**os.environ, **self.env},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, **self.work.as_user())
        if done.returncode:
            raise OSError(f"rabbitmqctl {' '.join(args)}: {done.stdout.decode(errors='replace')}")
