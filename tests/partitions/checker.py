"""Holds what clients were told against each other, and against what there is at the end. It shares no code with the program.

A reservation only ever goes forward: held, paying, confirmed, cancelled, or held and released. So each look at it has a least state, by what
was acknowledged or seen before it was asked for, and a most, by what had been asked for when it was answered. An outcome that isn't known
may be either, at any time from then on.

Instants are of one monotonic clock, in seconds.
"""

import collections
import dataclasses
import math

RANKS = {"held": 1, "paying": 2, "confirmed": 3, "released": 4, "expired": 4, "cancelled": 5}
# How long a map may be shown when it may no longer be so: until the lease is over, and ten seconds more.
MAP_GRACE = 12.0
# What ends a reservation's hold of its seats, in the feed.
FREES = {"HoldReleased", "HoldExpired", "ReservationCancelled"}
# What each kind of change is in the feed.
HELD, CONFIRMED = "SeatsHeld", "ReservationConfirmed"


@dataclasses.dataclass
class Op:
    """A change that a client asked for: `hold`, `pay` or `give back`."""

    kind: str
    user: str
    # The seat of a hold, and the reservation of what follows.
    of: str
    key: str | None
    invoked: float
    returned: float
    # `ok`, `refused` or `unknown`.
    outcome: str
    answer: dict
    node: str = ""

    @property
    def reservation(self):
        return self.answer.get("reservationId") if self.kind == "hold" else self.of


@dataclasses.dataclass
class Look:
    """What a client saw of a reservation; `missing` where there was none."""

    reservation: str
    status: str
    invoked: float
    returned: float
    node: str = ""


@dataclasses.dataclass
class Map:
    """The seats that a client saw taken."""

    taken: set
    invoked: float
    returned: float
    node: str = ""


@dataclasses.dataclass
class End:
    """What there is at the end, by the one who has the log then."""

    # By user, by reservation: its status and its seats.
    reservations: dict
    # Position, type, reservation, seats.
    feed: list
    # The same, as someone followed it meanwhile.
    followed: list
    # By user: the balance, and its movements (what, how much).
    balances: dict


def check(history, end, price):
    """Returns what is wrong, in words."""
    ops = sorted((one for one in history if isinstance(one, Op)), key=lambda op: op.invoked)
    looks = sorted((one for one in history if isinstance(one, Look)), key=lambda look: look.invoked)
    maps = [one for one in history if isinstance(one, Map)]
    past = Past(ops)
    return [
        *keys(ops),
        *seats(past),
        *seen(past, looks),
        *shown(past, maps),
        *what_is_left(past, ops, end.reservations),
        *told(past, ops, end.feed),
        *followed(end.feed, end.followed),
        *money(past, end.balances, price),
    ]


class Past:
    """What was asked for, by reservation."""

    def __init__(self, ops):
        self.hold, self.pay, self.back = {}, collections.defaultdict(list), collections.defaultdict(list)
        self.unknown_holds = []
        for op in ops:
            if op.kind == "hold":
                if op.outcome == "ok":
                    self.hold.setdefault(op.reservation, op)
                elif op.outcome == "unknown":
                    self.unknown_holds.append(op)
            else:
                (self.pay if op.kind == "pay" else self.back)[op.of].append(op)

    def least(self, reservation, before):
        """Returns the least rank of what was acknowledged before an instant."""
        hold = self.hold.get(reservation)
        rank = 1 if hold and hold.returned < before else 0
        if any(op.outcome == "ok" and op.returned < before for op in self.pay[reservation]):
            rank = 3
        if any(op.outcome == "ok" and op.returned < before for op in self.back[reservation]):
            rank = 4
        return rank

    def may_be(self, reservation, status, until):
        """Tells whether it may have had a status by an instant, from what had been asked for."""

        def asked(ops):
            return any(op.outcome != "refused" and op.invoked < until for op in ops)

        hold = self.hold.get(reservation)
        if hold is None or hold.invoked >= until:
            return False
        pays, backs = asked(self.pay[reservation]), asked(self.back[reservation])
        return {"held": True, "paying": pays, "confirmed": pays, "released": backs, "cancelled": pays and backs}.get(status, False)

    def freed(self, reservation):
        """Returns when it was first asked to be given back, and when that was surely done."""
        backs = [op for op in self.back[reservation] if op.outcome != "refused"]
        asked = min((op.invoked for op in backs), default=math.inf)
        return asked, min((op.returned for op in backs if op.outcome == "ok"), default=math.inf)


def keys(ops):
    """One key has one effect."""
    effects = {}
    for op in ops:
        if op.key and op.outcome == "ok":
            effect = op.answer.get("reservationId"), op.answer.get("paymentId") if op.kind == "pay" else None
            if effects.setdefault((op.user, op.key), effect) != effect:
                yield f"the key {op.key} had two effects: {effects[op.user, op.key]} and {effect}"


def seats(past):
    """No seat is surely held by two at one time."""
    by_seat = collections.defaultdict(list)
    for reservation, op in past.hold.items():
        by_seat[op.of].append((op.returned, past.freed(reservation)[0], reservation))
    for seat, times in by_seat.items():
        times.sort()
        latest = (-math.inf, None)
        for since, until, reservation in times:
            if since < latest[0] and since < until:
                yield f"{seat} was held by {latest[1]} and by {reservation} at once"
            latest = max(latest, (until, reservation))


def seen(past, looks):
    """No look is older than what was acknowledged, or seen by anyone, before it was asked for; none shows what nobody asked for."""
    by_reservation = collections.defaultdict(list)
    for look in looks:
        by_reservation[look.reservation].append(look)
    for reservation, mine in by_reservation.items():
        by_return, done, most = sorted(mine, key=lambda look: look.returned), 0, 0
        for look in mine:
            while done < len(by_return) and by_return[done].returned < look.invoked:
                most = max(most, RANKS.get(by_return[done].status, 0))
                done += 1
            rank, least = RANKS.get(look.status, 0), max(most, past.least(reservation, look.invoked))
            if rank < least:
                what = next(status for status, of in RANKS.items() if of >= least)
                yield (
                    f"{reservation} looked {look.status} at {look.node} at {look.invoked:.3f}, though it had been {what} by {least_by(past, by_return, look)}"
                )
            if look.status != "missing" and not past.may_be(reservation, look.status, look.returned):
                yield f"{reservation} looked {look.status} at {look.node} at {look.returned:.3f}, and nobody had asked for that"


def least_by(past, by_return, look):
    """Says what shows that a look is old."""
    ops = [past.hold.get(look.reservation), *past.pay[look.reservation], *past.back[look.reservation]]
    words = [f"{op.kind} at {op.node}, {op.returned:.3f}" for op in ops if op and op.outcome == "ok" and op.returned < look.invoked]
    words += [f"{other.status} at {other.node}, {other.returned:.3f}" for other in by_return if other.returned < look.invoked][-2:]
    return "; ".join(words)


def shown(past, maps):
    """A map is no older than its grace."""
    by_seat = collections.defaultdict(list)
    for reservation, op in past.hold.items():
        by_seat[op.of].append((op, *past.freed(reservation)))
    unknown = collections.defaultdict(lambda: math.inf)
    for op in past.unknown_holds:
        unknown[op.of] = min(unknown[op.of], op.invoked)
    for one in maps:
        then = one.invoked - MAP_GRACE
        for seat, times in by_seat.items():
            surely = any(op.returned < then and asked > one.returned for op, asked, _ in times)
            if surely and seat not in one.taken:
                yield f"{seat} looked free on the map at {one.node} at {one.invoked:.3f}, and had been held for {MAP_GRACE} s"
        for seat in one.taken:
            maybe = any(op.invoked < one.returned and done > then for op, _, done in by_seat[seat])
            if not maybe and unknown[seat] >= one.returned:
                yield f"{seat} looked taken on the map at {one.node} at {one.invoked:.3f}, and nobody had it"


def what_is_left(past, ops, reservations):
    """Everything that was acknowledged is there, and nothing that nobody asked for."""
    found = {id: (user, status, held) for user, mine in reservations.items() for id, (status, held) in mine.items()}
    for id, op in past.hold.items():
        if id not in found:
            yield f"{id}, which {op.node} acknowledged to {op.user} at {op.returned:.3f}, is lost"
            continue
        user, status, held = found[id]
        if user != op.user or held != [op.of]:
            yield f"{id} has {held} and is {user}'s, and was acknowledged to {op.user} with {op.of}"
        if RANKS.get(status, 0) < past.least(id, math.inf):
            yield f"{id} is {status} at the end, and more had been acknowledged"
        if not past.may_be(id, status, math.inf):
            yield f"{id} is {status} at the end, and nobody had asked for that"

    # Each outcome that isn't known may have made one.
    possible = collections.Counter((op.user, op.of) for op in past.unknown_holds)
    for id, (user, status, held) in found.items():
        if id in past.hold:
            continue
        if not held or possible[user, held[0]] == 0:
            yield f"{id} of {user} with {held} is {status}, and nobody asked for it"
        else:
            possible[user, held[0]] -= 1

    owners = {}
    for id, (_, status, held) in found.items():
        for seat in held if status in ("held", "paying", "confirmed") else []:
            if owners.setdefault(seat, id) != id:
                yield f"{seat} is {owners[seat]}'s and {id}'s at the end"


def told(past, ops, feed):
    """The feed has one order, each event once, and what came first in time comes first in it."""
    last, places, of_seat = 0, {}, {}
    for position, kind, reservation, held in feed:
        if position <= last:
            yield f"the feed has position {position} behind {last}"
        last = position
        if kind in FREES | {HELD, CONFIRMED}:
            if (kind, reservation) in places:
                yield f"the feed tells twice that {reservation}: {kind}"
            places[kind, reservation] = position
        if kind == HELD:
            for seat in held:
                if of_seat.get(seat, reservation) != reservation:
                    yield f"by the feed {seat} is {of_seat[seat]}'s and {reservation}'s at once"
                of_seat[seat] = reservation
        if kind in FREES:
            of_seat = {seat: id for seat, id in of_seat.items() if id != reservation}

    # When each was acknowledged, and where it stands.
    acknowledged = []
    kinds = {"hold": [HELD], "pay": [CONFIRMED], "give back": ["HoldReleased", "ReservationCancelled"]}
    first = {}
    for op in ops:
        if op.outcome == "ok":
            one = first.setdefault((op.kind, op.reservation), [op.invoked, op.returned, op])
            one[1] = min(one[1], op.returned)
    for (kind, reservation), (invoked, returned, op) in first.items():
        there = [places[name, reservation] for name in kinds[kind] if (name, reservation) in places]
        if len(there) != 1:
            yield f"the feed tells {len(there)} times of the {kind} of {reservation}, which {op.node} acknowledged at {returned:.3f}"
        else:
            acknowledged.append((invoked, returned, there[0], f"{kind} {reservation}"))
    by_return, done, most = sorted(acknowledged, key=lambda one: one[1]), 0, (0, "")
    for invoked, _, position, name in sorted(acknowledged):
        while done < len(by_return) and by_return[done][1] < invoked:
            most = max(most, by_return[done][2:4])
            done += 1
        if position < most[0]:
            yield f"the feed has {name} before {most[1]}, which had been acknowledged before it was asked for"


def followed(feed, events):
    """Who followed the feed was told the same, in the same order, and nothing was left out."""
    for told, event in zip(events, feed):
        if told != event:
            yield f"a follower was told {told}, where the feed has {event}"
            return
    if len(events) > len(feed):
        yield f"a follower was told of {len(events)} events, of which {len(events) - len(feed)} aren't there"


def money(past, balances, price):
    """Every payment that was acknowledged was taken once, and every balance is the sum of its movements."""
    paid = collections.defaultdict(lambda: [0, 0])
    for reservation, ops in past.pay.items():
        if not ops:
            continue
        user = ops[0].user
        paid[user][0] += any(op.outcome == "ok" for op in ops)
        paid[user][1] += any(op.outcome != "refused" for op in ops)
    for user, (balance, movements) in balances.items():
        amounts = collections.defaultdict(int)
        counts = collections.Counter(kind for kind, _ in movements)
        for kind, amount in movements:
            amounts[kind] += amount
        if balance != amounts["charge"] + amounts["refund"] - amounts["payment"]:
            yield f"{user} has {balance}, and its movements say {dict(amounts)}"
        least, most = paid[user]
        if not least <= counts["payment"] <= most or amounts["payment"] != price * counts["payment"]:
            yield f"{user} paid {counts['payment']} times ({amounts['payment']}), and {least} to {most} payments were acknowledged or unknown"
