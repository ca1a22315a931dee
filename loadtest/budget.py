#!/usr/bin/env python3
"""What a request costs the server, in instructions: callgrind counts them, so the figure is the same on a busy machine.

  budget.py <onsale> [<onsale-loadtest>] [--requests 2000] [--connections 32] [--only hold,taken] [--functions 40] [--out DIR]
  budget.py --quick <target directory>

<onsale> is a built release binary. With <onsale-loadtest> beside it the bare echo is counted, too, and ratios are printed. The server runs with one
worker thread under valgrind, in user space alone: the kernel's part isn't counted. What is counted begins after as many requests to warm up.
--functions prints the dearest functions of each kind by their own instructions; --out keeps callgrind's files for callgrind_annotate.

--quick is what ./test prints, to be compared from commit to commit and never asserted: one server, a few hundred requests of four kinds, some ten
seconds. It takes the release binary where that is of the present source (cargo's .d file says of which files it is), and the debug binary, which the
tests have built, otherwise; that needs ten times as many instructions, and is comparable with itself alone. Without valgrind or a binary it says so.
"""

import argparse, glob, http.client, json, os, re, selectors, shutil, signal, socket, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from one_client import ADMIN, SECRET, Client, token

KINDS = ["echo", "healthz", "schedule", "unmodified", "unauthorized", "unknown", "taken", "hold", "release"]
QUICK = ["hold", "taken", "unauthorized", "unmodified"]
# Enough for one per cent; a debug build takes ten times as long.
QUICK_REQUESTS, QUICK_REQUESTS_OF_DEBUG, QUICK_CONNECTIONS = 600, 120, 16


def valgrind(out):
    return ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=no", f"--callgrind-out-file={out}", "-q"]


def served(command, env, out):
    """Starts a server under callgrind; returns its process and its port."""
    process = subprocess.Popen(valgrind(out) + command, env=env, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    for line in process.stdout:
        if found := re.search(r"127\.0\.0\.1:(\d+)", line):
            return process, int(found[1])
    sys.exit(f"{command[0]} didn't start")


def onsale(binary, out, data, seats):
    env = dict(os.environ, ONSALE_LISTEN="127.0.0.1:0", ONSALE_DATA_DIR=data, ONSALE_JWT_SECRET=SECRET.decode(), ONSALE_ADMIN_TOKEN=ADMIN,
               ONSALE_RATE_LIMIT="off", ONSALE_LIMITS_READS_PER_SECOND="off", ONSALE_JOURNAL_RESERVE_BYTES="0", ONSALE_LOG_FILTER="error",
               ONSALE_WORKER_THREADS="1")
    process, port = served([binary, "serve"], env, out)
    admin = Client(port, ADMIN)
    rows = [{"rowId": str(row), "grade": "R", "length": 1000} for row in range(seats // 1000 + 1)]
    admin.must("PUT", "/venues/v", {"name": "Hall", "address": "", "type": "hall", "timeZone": "UTC",
                                    "sections": [{"sectionId": "A", "floor": "1", "rows": rows}]})
    admin.must("PUT", "/concerts/c", {"title": "Show", "artist": "Someone", "venueId": "v", "currency": "KRW",
                                      "grades": [{"grade": "R", "price": 50000, "color": "#888888"}]})
    for schedule in ["s", "full"]:
        admin.must("PUT", f"/schedules/{schedule}", {"concertId": "c", "startsAt": "2037-01-01T10:00:00.000Z", "endsAt": "2037-01-01T12:00:00.000Z",
                                                     "policy": {"maxSeatsPerUser": 1000, "maxSeatsPerReservation": 10, "holdSeconds": 86400}})
        admin.must("POST", f"/schedules/{schedule}/open")
    Client(port, token("owner")).must("POST", "/reservations", {"scheduleId": "full", "seats": ["1-A-0-1"]})
    return process, port


def etag(port, path):
    """Returns the tag of a document that doesn't change during the run."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    return connection.getresponse().headers["etag"]


def request(method, path, bearer=None, body=None, fields=""):
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{fields}"
    if bearer:
        head += f"authorization: Bearer {bearer}\r\n"
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    if body is not None:
        head += f"content-type: application/json\r\ncontent-length: {len(text)}\r\n"
    return (head + "\r\n" + text).encode()


def maker(kind, bearers, tag=None):
    """Returns the status that is expected, and what makes the n-th request of a connection from its last answer."""
    seat = lambda n: f"1-A-{n // 1000}-{n % 1000 + 1}"
    hold = lambda connection, n, bearer=True: request(
        "POST", "/api/v1/reservations", bearers[connection] if bearer else None, {"scheduleId": "s", "seats": [seat(n)]})
    return {
        "echo": (201, lambda c, n, last: hold(c, n)),
        "healthz": (200, lambda c, n, last: request("GET", "/healthz")),
        "schedule": (200, lambda c, n, last: request("GET", "/api/v1/schedules/s")),
        "unmodified": (304, lambda c, n, last: request("GET", "/api/v1/schedules/full/seats", fields=f"if-none-match: {tag}\r\n")),
        "unauthorized": (401, lambda c, n, last: hold(c, n, False)),
        "unknown": (404, lambda c, n, last: request("POST", "/api/v1/reservations", bearers[c], {"scheduleId": "none", "seats": [seat(n)]})),
        "taken": (409, lambda c, n, last: request("POST", "/api/v1/reservations", bearers[c], {"scheduleId": "full", "seats": ["1-A-0-1"]})),
        "hold": (201, lambda c, n, last: hold(c, n)),
        "release": (200, lambda c, n, last: request(
            "DELETE", "/api/v1/reservations/" + re.search(rb'"reservationId":"([^"]+)"', last)[1].decode(), bearers[c])),
    }[kind]


class Connections:
    """Connections that each send the next request once they have the answer to the last."""

    def __init__(self, port, count):
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        self.selector = selectors.DefaultSelector()
        for number, each in enumerate(self.sockets):
            self.selector.register(each, selectors.EVENT_READ, number)

    def drive(self, make, expected, first, total, lasts=None):
        """Sends the requests numbered from `first`; returns the answers by number."""
        sent, answers, at, buffers = first, {}, {}, {}
        def send(number):
            nonlocal sent
            if sent == first + total:
                return
            self.sockets[number].sendall(make(number, sent, lasts[sent] if lasts else None))
            at[number], buffers[number], sent = sent, b"", sent + 1
        for number in range(len(self.sockets)):
            send(number)
        while len(answers) < total:
            for key, _ in self.selector.select():
                buffers[key.data] += key.fileobj.recv(65536)
                answer = buffers[key.data]
                end = answer.find(b"\r\n\r\n") + 4
                if end < 4:
                    continue
                # A 304 has no body, whatever its head says.
                length = None if answer[9:12] == b"304" else re.search(rb"(?i)content-length: (\d+)", answer[:end])
                if length and len(answer) < end + int(length[1]):
                    continue
                if int(answer[9:12]) != expected:
                    sys.exit(f"{expected} was expected, and it is:\n{answer.decode()}")
                answers[at[key.data]] = answer
                send(key.data)
        return answers


def control(pid, *args):
    subprocess.run(["callgrind_control", *args, str(pid)], check=True, capture_output=True)


def instructions(path):
    with open(path) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("totals:"))


def count(kind, args):
    """Returns the instructions of one request of a kind."""
    with tempfile.TemporaryDirectory() as data:
        out = os.path.join(args.out or data, f"{kind}.callgrind")
        if kind == "echo":
            env = dict(os.environ, TOKIO_WORKER_THREADS="1")
            process, port = served([args.loadtest, "echo"], env, out)
        else:
            process, port = onsale(args.binary, out, os.path.join(data, "data"), 2 * args.requests)
        try:
            bearers = [token(f"u{number}") for number in range(args.connections)]
            expected, make = maker(kind, bearers, etag(port, "/api/v1/schedules/full/seats") if kind == "unmodified" else None)
            connections, lasts = Connections(port, args.connections), None
            if kind == "release":
                # Each is given back by whoever holds it: the user of its number.
                _, hold = maker("hold", bearers)
                owner = lambda n: n % args.connections
                lasts = connections.drive(lambda c, n, last: hold(owner(n), n, last), 201, 0, 2 * args.requests)
                ask = make
                make = lambda c, n, last: ask(owner(n), n, last)
            connections.drive(make, expected, 0, args.requests, lasts)
            control(process.pid, "-i", "on")
            connections.drive(make, expected, args.requests, args.requests, lasts)
            control(process.pid, "-i", "off")
        finally:
            # The echo ends with its input, the server by the signal.
            process.stdin.close()
            process.send_signal(signal.SIGTERM) if kind != "echo" else None
            process.wait(60)
        total = sum(instructions(path) for path in glob.glob(out + "*"))
        if args.functions:
            print(f"\n{kind}, instructions a request by function:")
            print(dearest(out, args.requests, args.functions))
        return total / args.requests


def count_quickly(binary, requests):
    """Returns the instructions of one request of each of a few kinds, all of one server."""
    counted = {}
    with tempfile.TemporaryDirectory() as data:
        out = os.path.join(data, "quick.callgrind")
        process, port = onsale(binary, out, os.path.join(data, "data"), 2 * requests)
        try:
            bearers = [token(f"u{number}") for number in range(QUICK_CONNECTIONS)]
            tag = etag(port, "/api/v1/schedules/full/seats")
            connections = Connections(port, QUICK_CONNECTIONS)
            control(process.pid, "-i", "on")
            for kind in QUICK:
                expected, make = maker(kind, bearers, tag)
                connections.drive(make, expected, 0, requests)
                control(process.pid, "-z")
                connections.drive(make, expected, requests, requests)
                before = set(glob.glob(out + "*"))
                control(process.pid, f"--dump={kind}")
                new = set(glob.glob(out + "*")) - before
                counted[kind] = sum(map(instructions, new)) / requests
        finally:
            process.stdin.close()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    return counted


def is_of_the_source(binary):
    """Whether nothing that a binary is made of is newer than it. Cargo writes the names, with spaces escaped, behind a colon."""
    try:
        with open(binary + ".d") as file:
            sources = re.split(r"(?<!\\) ", file.read().split(": ", 1)[1].strip())
        sources = [source.replace("\\ ", " ") for source in sources] + ["Cargo.toml", "Cargo.lock"]
        return all(os.path.getmtime(source) <= os.path.getmtime(binary) for source in sources)
    except OSError:
        return False


def quick(target):
    if not (shutil.which("valgrind") and shutil.which("callgrind_control")):
        return print("not counted: valgrind is missing")
    release, debug = os.path.join(target, "release", "onsale"), os.path.join(target, "debug", "onsale")
    binary = release if is_of_the_source(release) else debug
    if not os.path.exists(binary):
        return print("not counted: neither a release binary of this source nor a debug binary is there")
    counted = count_quickly(binary, QUICK_REQUESTS if binary == release else QUICK_REQUESTS_OF_DEBUG)
    words = [f"{kind} {cost:,.0f}" for kind, cost in counted.items()]
    print(f"instructions a request, {'release' if binary == release else 'debug'} build: {', '.join(words)}")
    if binary == debug:
        print("(some ten times the release build's; after `cargo build --release` they are of that)")


def dearest(path, requests, lines):
    shown = subprocess.run(["callgrind_annotate", "--threshold=100", path], capture_output=True, text=True).stdout
    found = re.findall(r"^\s*([\d,]+) \([^)]*\)\s+(.*)$", shown, re.M)
    rows = [(int(cost.replace(",", "")) / requests, name.split(" [")[0][:150]) for cost, name in found if "PROGRAM TOTALS" not in name]
    return "\n".join(f"{cost:9,.0f}  {name}" for cost, name in rows[:lines])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?")
    parser.add_argument("loadtest", nargs="?")
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", default="")
    parser.add_argument("--functions", type=int, default=0)
    parser.add_argument("--out")
    parser.add_argument("--quick", metavar="DIR")
    args = parser.parse_args()
    if args.quick:
        return quick(args.quick)
    if not args.binary:
        parser.error("which binary?")
    kinds = args.only.split(",") if args.only else KINDS
    counted = {kind: count(kind, args) for kind in kinds if kind != "echo" or args.loadtest}
    for kind, cost in counted.items():
        ratio = f"  {cost / counted['echo']:5.2f} of the echo's" if "echo" in counted else ""
        print(f"{kind:>13}  {cost:9,.0f} instructions{ratio}")


if __name__ == "__main__":
    main()
