// Someone signs up, holds two seats beside each other and pays for them; an administrator's feed says so, too. It exits with 1 if anything is
// not as promised. Start `onsale serve --demo`, and paste the line `ADMIN=…` that it prints:
//
//   web/client/build && node web/client/example.mjs "$ADMIN" [ADDRESS]
import assert from "node:assert/strict";
import { connect, feed, orThrow, readSeats, STATUSES } from "@onsale/client";

const [adminToken, url = "http://127.0.0.1:8080"] = process.argv.slice(2);

// One signs up, and in. `orThrow` makes an error of a refusal; where a refusal is an answer, too, ask `isRefusal`.
let token = null;
const fan = connect({ url, token: () => token });
const account = { email: `${crypto.randomUUID()}@fans.example`, password: crypto.randomUUID() };
orThrow(await fan.ask(fan.api.POST("/api/v1/users", { body: { ...account, name: "Ann" } })));
const session = orThrow(await fan.ask(fan.api.POST("/api/v1/sessions", { body: account })));
token = session.accessToken;
console.log(`signed in as ${session.userId}`);

// The open sale with the most seats left, without a waiting room. A read that is given as a function is asked again if its answer is lost.
const concerts = orThrow(await fan.ask(() => fan.api.GET("/api/v1/concerts"))).items;
const lists = concerts.map(({ concertId }) =>
  fan.ask(() => fan.api.GET("/api/v1/concerts/{concertId}/schedules", { params: { path: { concertId } } })),
);
const sales = (await Promise.all(lists)).flatMap((list) => orThrow(list).items);
const [show] = sales
  .filter(({ status, policy }) => status === "open" && !policy.queue)
  .sort((one, other) => other.seats.available - one.seats.available);
assert.ok(show, "there is an open sale");
const { scheduleId } = show;
console.log(`${scheduleId} has ${show.seats.available} seats left`);

// The map: where the seats are, and the status of each. The first two that are free beside each other.
const { plan, statuses } = orThrow(await readSeats(fan, scheduleId, show.planId));
const isFree = (index) => STATUSES[statuses[index]] === "available";
const rowOf = (seat) => seat && [seat.floor, seat.sectionId, seat.rowId].join();
const left = plan.seats.findIndex((seat, at) => isFree(at) && isFree(at + 1) && rowOf(seat) === rowOf(plan.seats[at + 1]));
const seats = plan.seats.slice(left, left + 2).map(({ seatId }) => seatId);
assert.equal(seats.length, 2, "two seats beside each other are free");

// The feed, from now on, while the rest goes on. A consumer keeps `position`, and begins behind it when it comes back.
const office = connect({ url, token: adminToken });
const { journal } = orThrow(await office.ask(() => office.api.GET("/api/v1/admin/overview")));
async function confirmation() {
  for await (const event of feed(office, { after: journal.position, signal: AbortSignal.timeout(30_000) })) {
    if (event.subject !== `schedules/${scheduleId}` || event.data.userId !== session.userId) continue;
    console.log(`  the feed at ${event.position}: ${event.type}`);
    if (event.type === "ReservationConfirmed") return event;
  }
  throw new Error("the feed doesn't say within 30 s that the reservation is confirmed");
}
const confirmed = confirmation();

// Three changes. Each has a key of its own, and is sent again under it until its outcome is known: nothing happens twice.
const held = orThrow(
  await fan.change("hold", { scheduleId, seats }, (header, body) => fan.api.POST("/api/v1/reservations", { params: { header }, body })),
);
const seconds = Math.round((Date.parse(held.expiresAt) - fan.clock.now()) / 1000);
console.log(`held ${seats.join(" and ")} for ${seconds} s: ${held.amount} ${held.currency}`);
const path = { userId: session.userId };
orThrow(
  await fan.change("charge", { amount: held.amount }, (header, body) =>
    fan.api.POST("/api/v1/users/{userId}/balance", { params: { path, header }, body }),
  ),
);
const { reservationId } = held;
const payment = orThrow(
  await fan.change("pay", { reservationId, method: "balance" }, (header, body) => fan.api.POST("/api/v1/payments", { params: { header }, body })),
);
console.log(`paid ${payment.amount} ${payment.currency}: the payment is ${payment.status}`);

// What is promised: the reservation is confirmed, and whoever follows the feed hears of it with its seats and its sum.
const reservation = orThrow(await fan.ask(() => fan.api.GET("/api/v1/reservations/{reservationId}", { params: { path: { reservationId } } })));
assert.equal(reservation.status, "confirmed");
const { data } = await confirmed;
assert.deepEqual([data.reservationId, data.seats, data.amount], [reservationId, seats, held.amount]);
console.log(`confirmed: reservation ${reservationId}`);
