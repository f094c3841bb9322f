"""nginx as a receiver that accepts every request."""

import os

from harness.ports import free_port
from harness.processes import children, find_program
from harness.server import Server

CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx.body;
  proxy_temp_path {folder}/nginx.proxy;
  fastcgi_temp_path {folder}/nginx.fastcgi;
  uwsgi_temp_path {folder}/nginx.uwsgi;
  scgi_temp_path {folder}/nginx.scgi;
  client_body_buffer_size 1m;
  client_max_body_size 16m;
  keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


def program():
    """Its path; None where it is not installed."""
    return find_program("nginx")


class Nginx(Server):
    def __init__(self, place, port=None):
        super().__init__(place, "nginx")
        self.port = port or free_port()
        self.folder = self.work.new_folder("nginx")
        self.config = os.path.join(self.folder, "nginx.conf")
        with open(self.config, "w") as f:
            f.write(CONFIG.format(folder=self.folder, port=self.port))
        self.work.own_tree(self.folder)

    def command(self):
        return [program(), "-c", self.config, "-p", self.folder]

    def pids(self):
        """The workers', too: they do not end with the first process."""
        return [pid for own in super().pids() for pid in (own, *children(own))]
