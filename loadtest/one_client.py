#!/usr/bin/env python3
"""What one client can do to the others, and to the memory: bounded in count, loopback only, Python's library alone.

  one_client.py stall  <onsale>  [--ended 20000] [--holds 2000]   holds of one user while another lists its own reservations in a loop
  one_client.py memory <onsale>  [--requests 20000]               the server's memory while one user makes payments ready, then holds and gives back

<onsale> is a built binary; it is started on a directory and a port of its own, and stopped at the end.
"""

import argparse, base64, hashlib, hmac, http.client, json, multiprocessing, os, re, signal, subprocess, tempfile, threading, time

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
    def __init__(self, binary, seats):
        self.data = tempfile.TemporaryDirectory()
        env = dict(os.environ, ONSALE_LISTEN="127.0.0.1:0", ONSALE_DATA_DIR=self.data.name, ONSALE_JWT_SECRET=SECRET.decode(),
                   ONSALE_ADMIN_TOKEN=ADMIN, ONSALE_RATE_LIMIT="off", ONSALE_JOURNAL_RESERVE_BYTES="0", ONSALE_LOG_FILTER="error",
                   ONSALE_TOSS_URL="http://127.0.0.1:9", ONSALE_TOSS_SECRET="test_sk_nothing_is_asked_of_it")
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
    return f"p50 {took[len(took) // 2]:.2f} ms, p99 {took[len(took) * 99 // 100]:.2f} ms, max {took[-1]:.2f} ms"


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["stall", "memory"])
    parser.add_argument("binary")
    parser.add_argument("--ended", type=int, default=20_000)
    parser.add_argument("--holds", type=int, default=2_000)
    parser.add_argument("--requests", type=int, default=20_000)
    args = parser.parse_args()
    server = Server(args.binary, 64)
    try:
        {"stall": stall, "memory": memory}[args.what](server, args)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
