"""Clients that buy, give back and look, each at one node, and write down when they asked what, and what they were told."""

import base64
import hashlib
import hmac
import http.client
import json
import random
import threading
import time

from checker import Look, Map, Op

PORT = 8080
PRICE = 10_000
SEATS = 240
# How long a client waits for an answer: longer than a node may take.
ANSWER_WITHIN = 8
# How long it goes on asking with the same key.
KEY_WITHIN = 40
# What says that nothing was done.
NO_CONNECTION = "no_connection"
NOT_DONE = {"not_ready", "journal_unavailable", "overloaded", NO_CONNECTION}


def signed(user, secret):
    """Makes a user's token, valid until 2100."""

    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = text(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = text(json.dumps({"sub": user, "exp": 4_102_444_800}).encode())
    tag = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{text(tag)}"


class Sale:
    """A schedule, in a hall of its own, so that its seats have names of their own."""

    def __init__(self, schedule):
        self.schedule = schedule

    def seat(self, index):
        return f"1-{self.schedule}-1-{index + 1}"


class Known:
    """The reservations that somebody was told of, for everyone who looks."""

    def __init__(self):
        self.lock, self.all = threading.Lock(), []

    def add(self, reservation, user):
        with self.lock:
            self.all.append((reservation, user))

    def any(self, chance):
        with self.lock:
            if not self.all:
                return None
            newest = self.all[-60:]
        return chance.choice(newest)


class Client(threading.Thread):
    """A client of one node."""

    def __init__(self, cluster, node, name, sale, known, stop, seed):
        super().__init__(daemon=True)
        self.cluster, self.node, self.user, self.sale, self.known, self.stop = cluster, node, name, sale, known, stop
        self.chance = random.Random(seed)
        self.connection, self.history, self.broken = None, [], None

    def run(self):
        try:
            while not self.stop.is_set():
                self.turn()
                time.sleep(0.004)
        except Exception as error:  # Said at the end, by whoever asks.
            self.broken = error
            raise

    def ask(self, method, path, body=None, key=None, user=None):
        """Asks; returns what is known of the outcome, and the answer's document."""
        headers = {"authorization": f"Bearer {self.cluster.token(user or self.user)}", "content-type": "application/json"}
        if key:
            headers["idempotency-key"] = key
        was_sent = False
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.cluster.host(self.node), PORT, timeout=ANSWER_WITHIN)
                self.connection.connect()
            was_sent = True
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            status, read = answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self.connection is not None:
                self.connection.close()
                self.connection = None
            time.sleep(0.05)
            return ("unknown" if was_sent else "refused"), {"code": NO_CONNECTION, "why": repr(error)}

        if status < 300:
            return ("unknown" if status == 202 else "ok"), read
        if status < 500 and read["code"] != "request_in_progress":
            return "refused", read
        if read["code"] in NOT_DONE:
            time.sleep(0.05)
            return "refused", read
        return "unknown", read


class Buyer(Client):
    """Holds seats, pays for them, and gives them back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.held, self.paid, self.turns = [], [], 0

    def turn(self):
        self.turns += 1
        what = self.chance.random()
        if self.held and what < 0.25:
            self.pay(self.held.pop(self.chance.randrange(len(self.held))))
        elif self.held and what < 0.5:
            self.give_back(self.held.pop(self.chance.randrange(len(self.held))))
        elif self.paid and what < 0.65:
            self.give_back(self.paid.pop(self.chance.randrange(len(self.paid))))
        else:
            self.hold()

    def do(self, kind, method, path, body, of, has_key):
        """Does one thing, and writes it down. With a key it asks until it knows what became of it."""
        key = f"{self.user}-{self.turns}" if has_key else None
        # Repeating a DELETE is the same one.
        is_repeatable, was_unknown, invoked = has_key or method == "DELETE", False, time.monotonic()
        while True:
            outcome, answer = self.ask(method, path, body, key)
            was_unknown |= outcome == "unknown"
            is_known = outcome == "ok" or (outcome == "refused" and answer["code"] not in NOT_DONE)
            if is_known or not is_repeatable:
                break
            if time.monotonic() - invoked > KEY_WITHIN or self.stop.is_set():
                # Whoever doesn't know what became of the first doesn't learn it from one that wasn't done.
                outcome = "unknown" if was_unknown else "refused"
                break
        op = Op(kind, self.user, of, key, invoked, time.monotonic(), outcome, answer, self.node)
        self.history.append(op)
        if has_key and outcome == "ok" and self.chance.random() < 0.1:
            invoked = time.monotonic()
            outcome, answer = self.ask(method, path, body, key)
            self.history.append(Op(kind, self.user, of, key, invoked, time.monotonic(), outcome, answer, self.node))
        return op

    def hold(self):
        wanted = self.sale.seat(self.chance.randrange(SEATS))
        body = {"scheduleId": self.sale.schedule, "seats": [wanted]}
        op = self.do("hold", "POST", "/api/v1/reservations", body, wanted, self.chance.random() < 0.5)
        if op.outcome == "ok":
            reservation = op.answer["reservationId"]
            self.known.add(reservation, self.user)
            self.held.append(reservation)

    def pay(self, reservation):
        body = {"reservationId": reservation, "method": "balance"}
        op = self.do("pay", "POST", "/api/v1/payments", body, reservation, True)
        # One whose payment isn't known is left alone.
        if op.outcome == "ok":
            self.paid.append(reservation)

    def give_back(self, reservation):
        self.do("give back", "DELETE", f"/api/v1/reservations/{reservation}", None, reservation, False)


class Looker(Client):
    """Looks at what others were told of, and now and then at the map."""

    def turn(self):
        if self.chance.random() < 0.05:
            self.look_at_map()
        elif found := self.known.any(self.chance):
            self.look_at(*found)

    def look_at(self, reservation, user):
        invoked = time.monotonic()
        outcome, answer = self.ask("GET", f"/api/v1/reservations/{reservation}", user=user)
        returned = time.monotonic()
        if outcome == "ok":
            self.history.append(Look(reservation, answer["status"], invoked, returned, self.node))
        elif outcome == "refused" and answer["code"] == "not_found":
            self.history.append(Look(reservation, "missing", invoked, returned, self.node))

    def look_at_map(self):
        invoked = time.monotonic()
        outcome, answer = self.ask("GET", f"/api/v1/schedules/{self.sale.schedule}/seats?shape=vector")
        if outcome == "ok":
            bits = base64.b64decode(answer["statuses"])
            taken = {self.sale.seat(index) for index in range(SEATS) if bits[index // 4] >> index % 4 * 2 & 3}
            self.history.append(Map(taken, invoked, time.monotonic(), self.node))


class Forgetful(Looker):
    """What a proxy that keeps answers would make of a client: a reservation looks as it did when it was first looked at. For the control."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept = {}

    def ask(self, method, path, body=None, key=None, user=None):
        if path not in self.kept:
            self.kept[path] = super().ask(method, path, body, key, user)
        return self.kept[path]


class Follower(threading.Thread):
    """Follows the feed, at one node after the other, from where it was."""

    def __init__(self, cluster, nodes, stop):
        super().__init__(daemon=True)
        self.cluster, self.nodes, self.stop = cluster, nodes, stop
        self.events = []

    def run(self):
        turn = 0
        while not self.stop.is_set():
            last = self.events[-1][0] if self.events else 0
            try:
                for event in feed(self.cluster, self.nodes[turn % len(self.nodes)], last, 3):
                    self.events.append(event)
                    if self.stop.is_set():
                        return
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)
            turn += 1


def feed(cluster, node, after, timeout):
    """Gives the events behind a position: position, type, reservation, seats. It ends when there is no event for so many seconds."""
    connection = http.client.HTTPConnection(cluster.host(node), PORT, timeout=timeout)
    try:
        headers = {"authorization": f"Bearer {cluster.admin_token}"}
        connection.request("GET", f"/api/v1/events?after={after}", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"the feed says {answer.status}")
        while line := answer.readline():
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                data = event["data"]
                yield event["position"], event["type"], data.get("reservationId"), tuple(data.get("seats") or ())
    finally:
        connection.close()
