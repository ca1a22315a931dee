#!/usr/bin/env python3
"""What a few clients can do to the others, and to the memory: bounded in count and time, loopback only, Python's library alone.

  one_client.py stall  <onsale>  [--ended 20000] [--holds 2000]   holds of one user while another lists its own reservations in a loop
  one_client.py memory <onsale>  [--requests 20000]               the server's memory while one user makes payments ready, then holds and gives back
  one_client.py unread <onsale>  [--clients 10000] [--seats 250000] [--mib-max 4096]   the server's memory while clients ask for maps, each of
                                                                  another version, and never read; it stops where the memory is reached
  one_client.py reads  <onsale>  [--holds 500] [--seats 250000]   holds, and the server's cores, beside four strangers who read maps in a loop;
                                                                  once with the limit of reads by address, and once without
  one_client.py follow <onsale>  [--clients 10000] [--seconds 20] the server's cores while one user holds and gives back beside so many followers
  one_client.py disk   <onsale>  [--sold 20000]                   what a sale leaves on the disk: each buyer charges, holds one seat and pays, with keys

<onsale> is a built binary; it is started on a directory and a port of its own, and stopped at the end. Strangers and followers run at the lowest
priority, as if they had machines of their own: what is measured is what the server does for them, not what they take from it.
"""

import argparse, base64, hashlib, hmac, http.client, json, multiprocessing, os, re, resource, select, signal, socket, subprocess, tempfile, threading, time

SECRET = b"a-secret-for-a-measurement-of-32-bytes-or-more"
ADMIN = "an-administrators-token-for-a-measurement"


def token(user):
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    head = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps({"sub": user, "exp": 4102444800}).encode())
    return (head + b"." + part(hmac.new(SECRET, head, hashlib.sha256).digest())).decode()


class Client:
    """One connection of one caller."""

    def __init__(self, port, bearer):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.bearer = bearer

    def ask(self, method, path, body=None, key=None):
        headers = {"authorization": "Bearer " + self.bearer}
        if body is not None:
            headers["content-type"] = "application/json"
        if key is not None:
            headers["idempotency-key"] = key
        self.connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        read = response.read()
        return response.status, (json.loads(read) if read else None)

    def must(self, *args, **named):
        status, body = self.ask(*args, **named)
        assert status < 300, (status, body)
        return body

    def hold(self, seat):
        return self.must("POST", "/reservations", {"scheduleId": "s", "seats": [f"1-A-1-{seat}"]})["reservationId"]


class Server:
    def __init__(self, binary, seats, limited=False):
        self.data = tempfile.TemporaryDirectory()
        env = dict(os.environ, ONSALE_LISTEN="127.0.0.1:0", ONSALE_DATA_DIR=self.data.name, ONSALE_JWT_SECRET=SECRET.decode(),
                   ONSALE_ADMIN_TOKEN=ADMIN, ONSALE_RATE_LIMIT="off", ONSALE_JOURNAL_RESERVE_BYTES="0", ONSALE_LOG_FILTER="error",
                   ONSALE_TOSS_URL="http://127.0.0.1:9", ONSALE_TOSS_SECRET="test_sk_nothing_is_asked_of_it")
        # An older binary has no such limit, and knows no such setting.
        settings = subprocess.run([binary, "serve", "--print-config"], env=env, capture_output=True, text=True).stdout
        if not limited and "ONSALE_LIMITS_READS_PER_SECOND" in settings:
            env["ONSALE_LIMITS_READS_PER_SECOND"] = "off"
        self.process = subprocess.Popen([binary, "serve"], env=env, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()
        admin = Client(self.port, ADMIN)
        admin.must("PUT", "/venues/v", {"name": "Hall", "address": "", "type": "hall", "timeZone": "UTC", "sections": [
            {"sectionId": "A", "floor": "1", "rows": [{"rowId": "1", "grade": "R", "length": seats}]}]})
        admin.must("PUT", "/concerts/c", {"title": "Show", "artist": "Someone", "venueId": "v", "currency": "KRW",
                   "grades": [{"grade": "R", "price": 50000, "color": "#888888"}]})
        admin.must("PUT", "/schedules/s", {"concertId": "c", "startsAt": "2037-01-01T10:00:00.000Z",
                   "endsAt": "2037-01-01T12:00:00.000Z", "policy": {"maxSeatsPerUser": 100, "holdSeconds": 86400}})
        admin.must("POST", "/schedules/s/open")

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return sum(int(float(value)) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))

    def connections(self):
        return self.metric("onsale_http_connections")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.data.cleanup()


def hold_and_give_back(port, user, seat, times):
    client = Client(port, token(user))
    for _ in range(times):
        client.must("DELETE", f"/reservations/{client.hold(seat)}")


def many(port, user, first_seat, times, connections=16):
    jobs = [threading.Thread(target=hold_and_give_back, args=(port, user, first_seat + number, times // connections))
            for number in range(connections)]
    [job.start() for job in jobs]
    [job.join() for job in jobs]


def list_in_a_loop(port, user, stop, count):
    os.nice(19)
    client = Client(port, token(user))
    while not stop.is_set():
        client.must("GET", "/reservations?limit=1")
        count.value += 1


def measure(port, holds):
    client, took = Client(port, token("lee")), []
    for _ in range(holds):
        start = time.perf_counter()
        held = client.hold(40)
        took.append((time.perf_counter() - start) * 1000)
        client.must("DELETE", f"/reservations/{held}")
    took.sort()
    return f"p50 {took[len(took) // 2]:.2f} ms, p95 {took[len(took) * 95 // 100]:.2f} ms, p99 {took[len(took) * 99 // 100]:.2f} ms, max {took[-1]:.2f} ms"


def stall(server, args):
    print("alone:", measure(server.port, args.holds))
    many(server.port, "kim", 1, args.ended)
    stop, count = multiprocessing.Event(), multiprocessing.Value("q", 0)
    jobs = [multiprocessing.Process(target=list_in_a_loop, args=(server.port, "kim", stop, count)) for _ in range(2)]
    [job.start() for job in jobs]
    print(f"beside lists of {args.ended} ended ones:", measure(server.port, args.holds), f"({count.value} lists)")
    stop.set()
    [job.join() for job in jobs]


def memory(server, args):
    client = Client(server.port, token("kim"))
    held = client.hold(41)
    for name, work in [
        ("payments made ready", lambda: [client.must("POST", "/payments", {"reservationId": held, "method": "card"}, key=f"k{number}")
                                         for number in range(args.requests)]),
        ("holds given back", lambda: many(server.port, "kim", 1, args.requests)),
    ]:
        before, start = server.memory_kib(), time.monotonic()
        work()
        after = server.memory_kib()
        print(f"{args.requests} {name}: {before} → {after} KiB, {(after - before) * 1024 / args.requests:.0f} bytes each, {time.monotonic() - start:.0f} s")


def ask_and_never_read(port, path):
    """Opens a connection whose client takes nothing: its window is as small as the system lets it be."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET /api/v1{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    return client


def unread(server, args):
    holder, clients, start = Client(server.port, token("kim")), [], time.monotonic()
    before = peak = server.memory_kib()
    while len(clients) < args.clients and peak < args.mib_max << 10:
        held = holder.hold(40)
        clients += [ask_and_never_read(server.port, "/schedules/s/seats?status=available") for _ in range(10)]
        holder.must("DELETE", f"/reservations/{held}")
        peak = max(peak, server.memory_kib())
        if len(clients) % 1000 == 0:
            print(f"  {len(clients)} clients: {server.memory_kib() >> 10} MiB, {server.connections()} connections, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{len(clients)} clients that never read, in {time.monotonic() - start:.0f} s: {before >> 10} → {peak >> 10} MiB at most, "
          f"{(peak - before) / len(clients):.0f} KiB each")
    time.sleep(45)
    print(f"45 s later: {server.connections()} connections, {server.memory_kib() >> 10} MiB")


def read_in_a_loop(port, path, headers, stop, count):
    os.nice(19)
    while not stop.is_set():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/api/v1" + path, headers=headers)
            response = connection.getresponse()
            if response.status == 429:
                time.sleep(0.1)
            # A stream has no end: its beginning is what costs.
            elif path.endswith("/events"):
                response.read1(65536)
            else:
                while response.read(1 << 20):
                    pass
            count.value += response.status == 200
            connection.close()
        except OSError:
            pass


def reads(args):
    for limited in (False, True):
        server = Server(args.binary, args.seats, limited)
        try:
            print("with" if limited else "without", "the limit by address; alone:", measure(server.port, args.holds))
            for name, path, headers in [
                ("narrowed maps", "/schedules/s/seats?status=available", {}),
                ("whole maps", "/schedules/s/seats", {}),
                ("compressed maps", "/schedules/s/seats", {"accept-encoding": "gzip"}),
                ("streams begun", "/schedules/s/seats/events", {}),
            ]:
                stop = multiprocessing.Event()
                counts = [multiprocessing.Value("q", 0) for _ in range(4)]
                jobs = [multiprocessing.Process(target=read_in_a_loop, args=(server.port, path, headers, stop, count)) for count in counts]
                [job.start() for job in jobs]
                time.sleep(2)
                cpu, start = server.cpu_seconds(), time.monotonic()
                took = measure(server.port, args.holds)
                cores = (server.cpu_seconds() - cpu) / (time.monotonic() - start)
                stop.set()
                [job.join() for job in jobs]
                print(f"  beside four strangers, {name}: {took}, {cores:.2f} cores, {sum(count.value for count in counts)} read", flush=True)
        finally:
            server.stop()


def follow_and_throw_away(port, count, ready, stop):
    os.nice(19)
    poll, clients = select.epoll(), {}
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET /api/v1/schedules/s/seats/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        client.setblocking(False)
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLIN)
    ready.set()
    while not stop.is_set():
        for number, _ in poll.poll(0.1):
            clients[number].recv(65536)


def follow(server, args):
    ready, stop = multiprocessing.Event(), multiprocessing.Event()
    job = multiprocessing.Process(target=follow_and_throw_away, args=(server.port, args.clients, ready, stop))
    job.start()
    ready.wait()
    time.sleep(2)
    client, count, cpu, start = Client(server.port, token("kim")), 0, server.cpu_seconds(), time.monotonic()
    while time.monotonic() - start < args.seconds:
        # As much as one account may do.
        client.must("DELETE", f"/reservations/{client.hold(40)}")
        count += 2
        time.sleep(max(0, start + count / 20 - time.monotonic()))
    cores = (server.cpu_seconds() - cpu) / (time.monotonic() - start)
    print(f"{args.clients} followers, {count / args.seconds:.0f} changes a second: {cores:.2f} cores")
    stop.set()
    job.join()


def buy(port, users, first_seat):
    admin = Client(port, ADMIN)
    for user in users:
        client = Client(port, token(f"buyer-{user:07}"))
        admin.must("POST", f"/users/buyer-{user:07}/balance", {"amount": 50_000}, key=f"charge-{user}")
        held = client.must("POST", "/reservations", {"scheduleId": "s", "seats": [f"1-A-1-{first_seat + user}"]}, key=f"hold-{user}")
        client.must("POST", "/payments", {"reservationId": held["reservationId"], "method": "balance"}, key=f"pay-{user}")
        client.connection.close()


def disk(server, args):
    admin = Client(server.port, ADMIN)
    admin.must("POST", "/admin/snapshots")
    journal, snapshot = server.metric("onsale_journal_bytes_total"), server.metric("onsale_snapshot_bytes")
    jobs = [threading.Thread(target=buy, args=(server.port, range(part, args.sold, 16), 1)) for part in range(16)]
    [job.start() for job in jobs]
    [job.join() for job in jobs]
    # Another connection: the first was idle for too long.
    Client(server.port, ADMIN).must("POST", "/admin/snapshots")
    journal, snapshot = server.metric("onsale_journal_bytes_total") - journal, server.metric("onsale_snapshot_bytes") - snapshot
    on_disk = sum(os.stat(os.path.join(folder, file)).st_blocks * 512
                  for folder, _, files in os.walk(server.data.name) for file in files)
    print(f"{args.sold} seats sold: {journal / args.sold:.0f} bytes of journal a seat, {snapshot / args.sold:.0f} bytes of a snapshot; "
          f"the directory has {on_disk / 2**20:.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["stall", "memory", "unread", "reads", "follow", "disk"])
    parser.add_argument("binary")
    parser.add_argument("--ended", type=int, default=20_000)
    parser.add_argument("--holds", type=int, default=2_000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--seats", type=int, default=250_000)
    parser.add_argument("--mib-max", type=int, default=4096)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--sold", type=int, default=20_000)
    args = parser.parse_args()
    # The server is a child, and has as many files.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if args.what == "reads":
        return reads(args)
    seats = {"unread": args.seats, "disk": args.sold}
    server = Server(args.binary, seats.get(args.what, 64))
    try:
        {"stall": stall, "memory": memory, "unread": unread, "follow": follow, "disk": disk}[args.what](server, args)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
