"""Three servers of the log and three nodes, each on a host of its own network."""

import http.client
import json
import os
import pathlib
import secrets
import signal
import subprocess
import threading
import time

from clients import signed

SERVERS = ["log-0", "log-1", "log-2"]
NODES = ["node-0", "node-1", "node-2"]
PORT = 8080
# How long a service manager waits before it starts a node again.
PAUSE = 0.5
CONFIG = """
listen: "{address}:4222"
server_name: "{name}"
max_payload: 1MB
jetstream {{ store_dir: "{store}", sync_interval: always }}
accounts {{
  SYS {{ users: [{{ user: system, password: "{password}" }}] }}
  ONSALE {{ jetstream: enabled, users: [{{ user: onsale, password: "{password}" }}] }}
}}
system_account: SYS
cluster {{ name: log, listen: "{address}:6222", routes: [{routes}] }}
"""


class Cluster:
    """The processes, and a service manager that starts a node again when it has ended."""

    def __init__(self, program, nats_server, network, directory):
        self.program, self.nats_server, self.network, self.directory = program, nats_server, network, pathlib.Path(directory)
        self.password, self.admin_token = secrets.token_hex(16), secrets.token_hex(16)
        self.jwt_secret, self.secret = secrets.token_hex(32), secrets.token_hex(32)
        self.processes, self.kept_down, self.ended = {}, set(), []
        self.lock, self.is_over = threading.Lock(), threading.Event()

    def start(self):
        for name in SERVERS:
            self.start_server(name)
        for name in NODES:
            self.start_node(name)
        self.manager = threading.Thread(target=self.manage, daemon=True)
        self.manager.start()

    def start_server(self, name):
        routes = ", ".join(f'"nats://{self.network.address(other)}:6222"' for other in SERVERS if other != name)
        store, address = self.directory / name, self.network.address(name)
        config = self.directory / f"{name}.conf"
        config.write_text(CONFIG.format(name=name, address=address, store=store, password=self.password, routes=routes))
        self.run(name, [self.nats_server, "--config", str(config)], dict(os.environ))

    def start_node(self, name):
        own = {variable: value for variable, value in os.environ.items() if not variable.startswith("ONSALE_")}
        own |= {
            "ONSALE_LISTEN": f"{self.network.address(name)}:{PORT}",
            "ONSALE_DATA_DIR": str(self.directory / name),
            "ONSALE_JWT_SECRET": self.jwt_secret,
            "ONSALE_ADMIN_TOKEN": self.admin_token,
            "ONSALE_RATE_LIMIT": "off",
            "ONSALE_LIMITS_READS_PER_SECOND": "off",
            "ONSALE_LIMITS_REQUEST_TIMEOUT_SECONDS": "5",
            "ONSALE_DRAIN_SECONDS": "2",
            "ONSALE_LOG_FILTER": "info",
            "ONSALE_CLUSTER_LOG": ",".join(f"nats://{self.network.address(server)}:4222" for server in SERVERS),
            "ONSALE_CLUSTER_LOGIN": f"onsale:{self.password}",
            "ONSALE_CLUSTER_SYSTEM_LOGIN": f"system:{self.password}",
            "ONSALE_CLUSTER_SECRET": self.secret,
            "ONSALE_CLUSTER_NODE": name,
            "ONSALE_CLUSTER_ADDRESS": f"http://{self.network.address(name)}:{PORT}",
        }
        self.run(name, [self.program, "serve"], own)

    def run(self, name, command, environment):
        with open(self.directory / f"{name}.txt", "ab") as log:
            command = self.network.command(name, command)
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.processes[name] = process

    def manage(self):
        while not self.is_over.wait(0.05):
            for name in NODES:
                with self.lock:
                    process = self.processes[name]
                    if process.poll() is None or name in self.kept_down:
                        continue
                    self.ended.append((name, process.returncode))
                if not self.is_over.wait(PAUSE):
                    with self.lock:
                        self.start_node(name)

    def kill(self, name):
        with self.lock:
            self.kept_down.add(name)
            self.processes[name].kill()
            self.processes[name].wait()

    def start_again(self, name):
        with self.lock:
            if name in SERVERS:
                self.start_server(name)
            else:
                self.start_node(name)
            self.kept_down.discard(name)

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def stop(self):
        self.is_over.set()
        if hasattr(self, "manager"):
            self.manager.join()
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def host(self, node):
        return self.network.address(node)

    def token(self, user):
        return signed(user, self.jwt_secret)

    def ask(self, node, method, path, body=None, token=None, timeout=10, key=None):
        """Asks as an administrator, or with a token; returns the status and the document. Raises OSError where there is no answer."""
        connection = http.client.HTTPConnection(self.host(node), PORT, timeout=timeout)
        headers = {"authorization": f"Bearer {token or self.admin_token}", "content-type": "application/json"}
        if key:
            headers["idempotency-key"] = key
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            read = answer.read()
        except http.client.HTTPException as error:
            raise OSError(repr(error)) from error
        finally:
            connection.close()
        return answer.status, json.loads(read) if read else None

    def must(self, node, method, path, body=None, **more):
        status, document = self.ask(node, method, path, body, **more)
        if status >= 300:
            raise OSError(f"{method} {path}: {status} {document}")
        return document

    def owner(self, among=NODES):
        """Returns who has the log by the words of one of these that serves it, and nothing while it isn't known."""
        for node in among:
            try:
                status, shown = self.ask(node, "GET", "/api/v1/admin/cluster", timeout=0.5)
            except (OSError, ValueError):
                continue
            if status == 200 and shown["owner"] == node:
                return node
        return None

    def wait_for_owner(self, seconds, among=NODES, other_than=None):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            owner = self.owner([node for node in among if node != other_than])
            if owner:
                return owner
            time.sleep(0.02)
        raise OSError(f"nobody has the log after {seconds} s\n{self.last_words()}")

    def leader(self, stream):
        """Returns which server leads a stream, as the servers' own clients are told."""
        for server in SERVERS:
            try:
                told = nats_request(self.network.address(server), self.password, f"$JS.API.STREAM.INFO.{stream}")
            except (OSError, ValueError):
                continue
            if leader := told.get("cluster", {}).get("leader"):
                return leader
        raise OSError(f"nobody leads {stream}")

    def last_words(self):
        words = []
        for path in sorted(self.directory.glob("*.txt")):
            words += [f"{path.stem}: {line[:300]}" for line in path.read_text(errors="replace").splitlines()[-3:]]
        return "\n".join(words)


def nats_request(address, password, subject):
    """Asks one thing of a server, by NATS's own protocol."""
    import socket

    with socket.create_connection((address, 4222), timeout=2) as connection:
        lines = connection.makefile("rb")
        lines.readline()
        login = json.dumps({"verbose": False, "pedantic": False, "user": "onsale", "pass": password})
        connection.sendall(f"CONNECT {login}\r\nSUB answer 1\r\nPUB {subject} answer 0\r\n\r\n".encode())
        while True:
            line = lines.readline()
            if not line:
                raise OSError("the connection ended")
            if line.startswith(b"PING"):
                connection.sendall(b"PONG\r\n")
            if line.startswith(b"-ERR"):
                raise OSError(line.decode())
            if line.startswith(b"MSG"):
                return json.loads(lines.read(int(line.split()[-1])))
