"""A network of its own: one bridge, and a namespace for each host, whose links can be cut, one way each, or taken down.

Names and addresses have this process's number in them, and all of it goes at the end. Nothing but `ip` is needed, and root.
"""

import os
import subprocess


class NotPermitted(Exception):
    """Says why no namespaces can be made here."""


def ip(*arguments, check=True):
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        # There is no such program: what isn't there needn't be removed.
        if check:
            raise
        return False
    if check and done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.returncode == 0


class Network:
    """The hosts by their names, and this process on the same bridge."""

    def __init__(self, names):
        number = os.getpid()
        # 198.18.0.0/15 is for tests of networks (RFC 2544).
        self.subnet = f"198.{18 + number // 256 % 2}.{number % 256}"
        self.bridge = f"ob{number}"
        self.names = list(names)
        self.cuts, self.down = set(), set()
        try:
            self.make()
        except OSError as error:
            self.remove()
            raise NotPermitted(str(error)) from error

    def make(self):
        ip("link", "add", self.bridge, "type", "bridge")
        ip("address", "add", f"{self.subnet}.1/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for name in self.names:
            space, port = self.space(name), self.port(name)
            ip("netns", "add", space)
            ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", port, "master", self.bridge, "up")
            ip("-n", space, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")
            # What a host gets is looked up by rules; the one for its own addresses has to leave room before it.
            ip("-n", space, "rule", "add", "pref", "100", "lookup", "local")
            ip("-n", space, "rule", "del", "pref", "0")

    def space(self, name):
        return f"onsale-{os.getpid()}-{name}"

    def port(self, name):
        return f"o{os.getpid()}-{self.names.index(name)}"

    def address(self, name):
        return f"{self.subnet}.{10 + self.names.index(name)}"

    def command(self, name, command):
        """Returns the command that runs a command on a host; its process is the command's own."""
        return ["ip", "netns", "exec", self.space(name), *command]

    def cut_one_way(self, sender, receiver):
        """What one host sends no longer reaches the other one, without a word to either."""
        ip("-n", self.space(receiver), "rule", "add", "pref", "10", "from", self.address(sender), "blackhole")
        self.cuts.add((sender, receiver))

    def cut(self, one, others):
        for other in others:
            self.cut_one_way(one, other)
            self.cut_one_way(other, one)

    def take_down(self, name):
        """Cuts a host off from everyone, and from this process."""
        ip("link", "set", self.port(name), "down")
        self.down.add(name)

    def heal(self):
        for sender, receiver in self.cuts:
            ip("-n", self.space(receiver), "rule", "del", "pref", "10", "from", self.address(sender), "blackhole")
        for name in self.down:
            ip("link", "set", self.port(name), "up")
        self.cuts, self.down = set(), set()

    def remove(self):
        for name in self.names:
            ip("netns", "del", self.space(name), check=False)
            ip("link", "del", self.port(name), check=False)
        ip("link", "del", self.bridge, check=False)
