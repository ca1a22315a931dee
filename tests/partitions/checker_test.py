"""The checker finds what is wrong in histories that are made wrong by hand, each by what stands in its line, and nothing in the right one."""

import copy
import unittest

from checker import End, Look, Map, Op, check

PRICE = 10


def hold(seat, reservation, invoked, returned, user="kim", key=None, outcome="ok"):
    return Op("hold", user, seat, key, invoked, returned, outcome, {"reservationId": reservation} if outcome == "ok" else {})


def pay(reservation, invoked, returned, user="kim", key=None, outcome="ok"):
    return Op("pay", user, reservation, key, invoked, returned, outcome, {"paymentId": f"of-{reservation}", "reservationId": reservation})


def back(reservation, invoked, returned, user="kim", outcome="ok"):
    return Op("give back", user, reservation, None, invoked, returned, outcome, {"reservationId": reservation})


def right():
    """One holds, pays and gives back; another then has the seat; a third doesn't know what became of a hold that was made."""
    history = [
        hold("A", "r1", 0, 1, key="k1"),
        hold("A", "r1", 1.1, 1.2, key="k1"),
        Look("r1", "held", 1.3, 1.4),
        pay("r1", 2, 4),
        Look("r1", "paying", 3, 3.1),
        Look("r1", "held", 2.5, 3.5),
        Look("r1", "confirmed", 5, 6),
        back("r1", 7, 8),
        hold("A", "r2", 7.5, 9, user="lee"),
        Look("r1", "confirmed", 7.1, 7.2),
        Look("r2", "held", 10, 11),
        hold("B", None, 12, 13, user="lee", outcome="unknown"),
        Map({"A"}, 30, 31),
    ]
    feed = [
        (1, "SalesOpened", None, ()),
        (2, "SeatsHeld", "r1", ("A",)),
        (3, "ReservationConfirmed", "r1", ("A",)),
        (5, "ReservationCancelled", "r1", ()),
        (6, "SeatsHeld", "r2", ("A",)),
        (7, "SeatsHeld", "r3", ("B",)),
    ]
    reservations = {"kim": {"r1": ("cancelled", ["A"])}, "lee": {"r2": ("held", ["A"]), "r3": ("held", ["B"])}}
    balances = {"kim": (100, [("charge", 100), ("payment", 10), ("refund", 10)]), "lee": (0, [])}
    return history, End(reservations, feed, feed[:4], balances)


class Checker(unittest.TestCase):
    def finds(self, words, wrong):
        history, end = copy.deepcopy(right())
        wrong(history, end)
        found = check(history, end, PRICE)
        self.assertTrue(any(words in one for one in found), found)

    def test_nothing_is_wrong_with_the_right_one(self):
        self.assertEqual(check(*right(), PRICE), [])

    def test_an_outcome_that_is_not_known_may_be_either(self):
        history, end = right()
        del end.reservations["lee"]["r3"], end.feed[5]
        self.assertEqual(check(history, end, PRICE), [])

    def test_a_seat_that_two_hold_at_once(self):
        self.finds("A was held by r1 and by r9 at once", lambda history, _: history.append(hold("A", "r9", 4, 5)))
        self.finds("A is r9's and r2's at the end", lambda _, end: end.reservations["kim"].update(r9=("held", ["A"])))
        self.finds("by the feed A is r1's and r9's at once", lambda _, end: end.feed.insert(2, (2.5, "SeatsHeld", "r9", ("A",))))

    def test_what_was_acknowledged_and_is_lost(self):
        self.finds("r2, which  acknowledged to lee at 9.000, is lost", lambda _, end: end.reservations["lee"].pop("r2"))
        self.finds("r1 is held at the end", lambda _, end: end.reservations["kim"].update(r1=("held", ["A"])))
        self.finds("tells 0 times of the hold of r2", lambda _, end: end.feed.pop(4))
        self.finds("tells 0 times of the pay of r1", lambda _, end: end.feed.pop(2))

    def test_what_nobody_asked_for(self):
        self.finds("r9 of lee with ['A'] is released, and nobody", lambda _, end: end.reservations["lee"].update(r9=("released", ["A"])))
        self.finds("r2 is confirmed at the end, and nobody", lambda _, end: end.reservations["lee"].update(r2=("confirmed", ["A"])))
        self.finds("and nobody asked for it", lambda _, end: self.two_of_one_unknown(end))

    @staticmethod
    def two_of_one_unknown(end):
        end.reservations["lee"]["r8"] = ("released", ["B"])

    def test_a_look_that_is_older_than_what_was_acknowledged(self):
        self.finds("r1 looked held", lambda history, _: history.append(Look("r1", "held", 4.5, 4.6)))
        self.finds("r1 looked missing", lambda history, _: history.append(Look("r1", "missing", 1.5, 1.6)))
        self.finds("r1 looked confirmed", lambda history, _: history.append(Look("r1", "confirmed", 8.5, 8.6)))

    def test_a_look_that_is_older_than_another_one(self):
        # The payment isn't acknowledged yet; somebody has seen it all the same.
        self.finds("r1 looked held", lambda history, _: history.extend([Look("r1", "confirmed", 3.2, 3.3), Look("r1", "held", 3.6, 3.7)]))

    def test_a_look_at_what_nobody_had_asked_for(self):
        self.finds("nobody had asked for that", lambda history, _: history.append(Look("r1", "confirmed", 1.5, 1.6)))

    def test_a_key_with_two_effects(self):
        self.finds("the key k1 had two effects", lambda history, _: history.append(hold("A", "r9", 1.3, 1.4, key="k1")))

    def test_a_feed_that_is_out_of_order_or_tells_twice(self):
        self.finds("position 2 behind 3", lambda _, end: end.feed.insert(3, end.feed[1]))
        self.finds("tells twice that r1", lambda _, end: end.feed.append((9, "SeatsHeld", "r1", ("A",))))

        def swap(_, end):
            end.feed[4], end.feed[3] = (5, *end.feed[4][1:]), (6, *end.feed[3][1:])
            end.feed[3:5] = [end.feed[4], end.feed[3]]

        def before(history, end):
            history.append(hold("C", "r9", 20, 21, user="lee"))
            end.reservations["lee"]["r9"] = ("held", ["C"])
            end.feed.insert(1, (1.5, "SeatsHeld", "r9", ("C",)))

        self.finds("by the feed A is", swap)
        self.finds("the feed has hold r9 before", before)

    def test_a_follower_who_was_told_something_else(self):
        self.finds("a follower was told", lambda _, end: end.followed.pop(1))
        self.finds("1 aren't there", lambda _, end: setattr(end, "followed", [*end.feed, (8, "SeatsHeld", "r9", ("C",))]))

    def test_a_map_that_is_too_old(self):
        self.finds("A looked free", lambda history, _: history.append(Map(set(), 30, 31)))
        self.finds("C looked taken", lambda history, _: history.append(Map({"A", "C"}, 30, 31)))

    def test_money_that_does_not_add_up(self):
        self.finds("kim has 90", lambda _, end: end.balances.update(kim=(90, end.balances["kim"][1])))
        twice = (90, [("charge", 100), ("payment", 10), ("payment", 10), ("refund", 10)])
        self.finds("kim paid 2 times", lambda _, end: end.balances.update(kim=twice))


if __name__ == "__main__":
    unittest.main()
