// What the client promises, against a demonstration of its own and lines that break.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after as afterAll, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Clock, connect, feed, isRefusal, orThrow, placeChanges, readSeats, Refused, seatChanges, STATUSES, ticketed } from "@onsale/client";
import { Demonstration } from "../../test/demonstration.mjs";
import { after, Between } from "./between.mjs";

let demonstration;
let between;
before(async () => {
  demonstration = await Demonstration.start();
  between = await Between.before(demonstration.base);
});
afterAll(async () => {
  await between?.stop();
  await demonstration?.stop();
});

/** A fan's client that goes through the broken line, and doesn't wait; `waits` tells how long it was to. */
async function fan(options = {}) {
  const waits = [];
  const account = { email: `${crypto.randomUUID()}@fans.example`, password: crypto.randomUUID() };
  const visitor = connect({ url: demonstration.base });
  orThrow(await visitor.ask(visitor.api.POST("/api/v1/users", { body: { ...account, name: "Ann" } })));
  const { accessToken, userId } = orThrow(await visitor.ask(visitor.api.POST("/api/v1/sessions", { body: account })));
  const client = connect({ url: between.url, token: accessToken, wait: async (ms) => waits.push(ms), ...options });
  return { client, userId, waits, accessToken };
}

async function sale(name) {
  return (await demonstration.sale(name)).split("/").at(-1);
}

const hold = (client, scheduleId, seats, name = "hold") =>
  client.change(name, { scheduleId, seats }, (header, body) => client.api.POST("/api/v1/reservations", { params: { header }, body }));

async function reservationsOf(client, scheduleId) {
  return orThrow(await client.ask(client.api.GET("/api/v1/reservations", { params: { query: { scheduleId } } }))).items;
}

test("a change whose answers are lost is sent again under its key, and done once", async () => {
  const scheduleId = await sale("lost-answers");
  const { client, userId } = await fan();
  between.next("unread", "unanswered", "half");
  const held = orThrow(await hold(client, scheduleId, ["1층-B-7-10", "1층-B-7-11"]));
  assert.deepEqual([between.seen.length, between.keys().size], [4, 1]);
  assert.equal(between.answers[0]["idempotent-replayed"], "true", "the answer is that of the one effect");
  const [own, ...others] = await reservationsOf(client, scheduleId);
  assert.deepEqual([own.reservationId, others], [held.reservationId, []]);

  const charge = () =>
    client.change("charge", { amount: 500_000 }, (header, body) =>
      client.api.POST("/api/v1/users/{userId}/balance", { params: { path: { userId }, header }, body }),
    );
  between.next("unanswered");
  orThrow(await charge());
  between.next("half", "unanswered");
  const { reservationId } = held;
  const payment = orThrow(
    await client.change("pay", { reservationId, method: "balance" }, (header, body) =>
      client.api.POST("/api/v1/payments", { params: { header }, body }),
    ),
  );
  assert.equal(payment.status, "completed");
  const path = { userId };
  const moved = orThrow(await client.ask(client.api.GET("/api/v1/users/{userId}/balance/transactions", { params: { path } })));
  assert.deepEqual(
    moved.items.map(({ type, amount }) => [type, amount]),
    [
      ["payment", held.amount],
      ["charge", 500_000],
    ],
  );
});

const problem = (status, code, after) => ({
  status,
  headers: { "content-type": "application/problem+json", ...(after === undefined ? {} : { "retry-after": String(after) }) },
  body: JSON.stringify({ status, code }),
});

test("a server that is busy is asked again when it says, under the same key", async () => {
  const scheduleId = await sale("busy");
  const { client, waits } = await fan();
  between.next(problem(503, "overloaded", 2), problem(429, "rate_limited", 7), { status: 502, body: "a proxy's page" });
  orThrow(await hold(client, scheduleId, ["1층-B-7-10"]));
  assert.deepEqual([between.seen.length, between.keys().size], [4, 1]);
  assert.ok(waits[0] >= 2_000 && waits[1] >= 7_000 && waits[2] < 3_000, waits.join());
});

test("a server that wants to be left alone is: that is the answer, and the key stays", async () => {
  const scheduleId = await sale("left-alone");
  const { client, waits } = await fan();
  between.next(problem(429, "rate_limited", 60));
  const refused = await hold(client, scheduleId, ["1층-B-7-10"]);
  assert.deepEqual([refused.code, refused.retryAfterSeconds, waits], ["rate_limited", 60, []]);
  const [{ key }] = between.seen;
  between.next();
  orThrow(await hold(client, scheduleId, ["1층-B-7-10"]));
  assert.deepEqual(between.keys(), new Set([key]));
});

test("a change whose outcome isn't known keeps its key for the program that comes next", async () => {
  const scheduleId = await sale("next-program");
  const keys = new Map();
  const { client, accessToken } = await fan({ keys });
  between.next(...Array(5).fill("unanswered"));
  const unknown = await hold(client, scheduleId, ["1층-B-7-10"]);
  assert.equal(unknown.code, "offline");
  assert.ok(unknown.cause instanceof Error, "it says what broke");
  const [{ key }] = between.seen;

  const next = connect({ url: between.url, token: accessToken, keys: new Map(keys) });
  between.next();
  orThrow(await hold(next, scheduleId, ["1층-B-7-10"]));
  assert.deepEqual([between.keys(), between.answers[0]["idempotent-replayed"]], [new Set([key]), "true"]);

  // Another body is another change; and one that is over is done anew.
  between.next();
  orThrow(await hold(next, scheduleId, ["1층-B-7-11"]));
  assert.equal((await hold(next, scheduleId, ["1층-B-7-11"])).code, "seat_unavailable");
  assert.equal(new Set([key, ...between.keys()]).size, 3);
});

test("a change that is begun twice at once has one key and one effect, wherever keys are kept", async () => {
  const scheduleId = await sale("twice-at-once");
  const kept = new Map();
  const slowly = (act) => (name, text) => new Promise((resolve) => setImmediate(() => resolve(act(name, text))));
  const keys = {
    get: slowly((name) => kept.get(name)),
    set: slowly((name, text) => kept.set(name, text)),
    delete: slowly((name) => kept.delete(name)),
  };
  const { client } = await fan({ keys, wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms / 20)) });
  between.next();
  const [one, other] = await Promise.all([hold(client, scheduleId, ["1층-B-7-10"]), hold(client, scheduleId, ["1층-B-7-10"])]);
  assert.equal(orThrow(one).reservationId, orThrow(other).reservationId);
  assert.equal(between.keys().size, 1);
  assert.deepEqual([...kept], []);

  // Another change under the same name isn't forgotten with the one before.
  between.next("unanswered");
  const [first, second] = await Promise.all([
    client.change("name", 1, (header) => client.api.POST("/api/v1/reservations", { params: { header }, body: { scheduleId, seats: ["1층-B-7-10"] } })),
    client.change("name", 2, () => Promise.reject(new Error("no line"))),
  ]);
  assert.deepEqual([first.code, second.code, kept.size], ["seat_unavailable", "offline", 1]);
});

test("a refusal says its code and its members, and isn't sent again", async () => {
  const scheduleId = await sale("refused");
  const [ann, bob] = [await fan(), await fan()];
  orThrow(await hold(ann.client, scheduleId, ["1층-B-7-10"]));
  between.next();
  const refused = await hold(bob.client, scheduleId, ["1층-B-7-10", "1층-B-7-11"]);
  assert.ok(isRefusal(refused));
  assert.deepEqual([refused.code, refused.problem.status, refused.problem.seats], ["seat_unavailable", 409, ["1층-B-7-10"]]);
  assert.deepEqual([between.seen.length, bob.waits], [1, []]);
  assert.throws(
    () => orThrow(refused),
    (error) => error instanceof Refused && error.refusal === refused && error.message.startsWith("seat_unavailable: "),
  );
});

test("a read that is given as a function is asked again, and one that isn't is asked once", async () => {
  const { client } = await fan();
  const read = () => client.api.GET("/api/v1/concerts");
  between.next("half");
  orThrow(await client.ask(read));
  assert.equal(between.seen.length, 2);
  between.next("half");
  assert.equal((await client.ask(read())).code, "offline");
  assert.equal(between.seen.length, 1);
});

test("the feed goes on behind the last event when its line breaks: none is left out, none comes twice", async () => {
  const office = connect({ url: between.url, token: demonstration.admin });
  const { journal } = orThrow(await office.ask(office.api.GET("/api/v1/admin/overview")));
  between.next(after(5), after(7));
  const lines = [];
  const read = [];
  for await (const { id, position } of feed(office, { after: 3, onLine: (there) => lines.push(there) })) {
    assert.equal(id, String(position));
    read.push(position);
    if (position >= journal.position) break;
  }
  assert.deepEqual(read, Array.from({ length: journal.position - 3 }, (_, index) => 4 + index));
  assert.deepEqual(
    between.seen.map(({ lastId }) => lastId),
    [undefined, "8", "15"],
  );
  assert.deepEqual(lines, [true, false, true, false, true]);
});

test("a stream that the server refuses throws the refusal, and one whose signal is aborted ends", async () => {
  const { client } = await fan();
  await assert.rejects(
    async () => {
      for await (const event of feed(client)) assert.fail(event.type);
    },
    ({ refusal }) => refusal.code === "forbidden",
  );

  const end = new AbortController();
  const scheduleId = await sale("aborted");
  for await (const change of seatChanges(client, scheduleId, { signal: end.signal })) {
    assert.equal(change.kind, "snapshot");
    end.abort();
  }
});

test("a seat map that is followed across a broken line is the one that is read", async () => {
  const scheduleId = await sale("followed-map");
  const [{ client }, other] = [await fan(), await fan({ url: demonstration.base })];
  const before = orThrow(await readSeats(client, scheduleId));
  const indexOf = new Map(before.plan.seats.map(({ seatId }, index) => [seatId, index]));
  const statuses = before.statuses.slice();
  const kinds = [];
  const wanted = [["1층-B-7-10"], ["1층-B-7-11", "1층-B-7-12"], ["1층-B-7-13"]];
  between.next(after(2));
  for await (const { kind, seats } of seatChanges(client, scheduleId)) {
    if (kind === "snapshot") statuses.fill(STATUSES.indexOf("available"));
    for (const [seatId, status] of Object.entries(seats)) statuses[indexOf.get(seatId)] = STATUSES.indexOf(status);
    kinds.push(kind);
    const next = wanted.shift();
    if (!next) break;
    orThrow(await hold(other.client, scheduleId, next));
  }
  assert.deepEqual(kinds, ["snapshot", "delta", "delta", "delta"]);
  assert.equal(between.seen.length, 2, "the line broke");
  const read = orThrow(await readSeats(client, scheduleId, before.plan.planId));
  assert.deepEqual(statuses, read.statuses);
  assert.equal(statuses.filter((status) => STATUSES[status] === "held").length, 4);
});

test("a place in a waiting room is followed until it ends", async () => {
  await demonstration.sale("followed-place", { queue: { maxActive: 1 } });
  const scheduleId = "test-followed-place";
  const join = async ({ client }) =>
    orThrow(
      await client.change("join", { scheduleId }, (header, body) => client.api.POST("/api/v1/queue/tokens", { params: { header }, body })),
    ).token;
  const leave = ({ client }, token) =>
    client.change("leave", token, (header) =>
      client.api.DELETE("/api/v1/queue/tokens/current", { params: { query: { scheduleId }, header: { ...header, "Queue-Token": token } } }),
    );
  const [ann, bob] = [await fan(), await fan()];
  const [first, second] = [await join(ann), await join(bob)];
  const kinds = [];
  for await (const change of placeChanges(bob.client, scheduleId, second)) {
    kinds.push(change.kind);
    if (change.kind === "position") await leave(ann, first);
    if (change.kind === "active") await leave(bob, second);
    if (change.kind === "ended") break;
  }
  assert.deepEqual(kinds, ["position", "active", "ended"]);
});

test("an address with a ticket opens a stream without headers, once", async () => {
  const office = connect({ url: demonstration.base, token: demonstration.admin });
  const address = orThrow(await ticketed(office, "/api/v1/events?after=0"));
  const opened = await fetch(address);
  assert.equal(opened.status, 200);
  await opened.body.cancel();
  assert.equal((await fetch(address)).status, 401);
});

test("the server's clock is learnt from its answers, and anew when a clock was set", () => {
  const clock = new Clock();
  const offset = () => clock.now() - Date.now();
  const second = Date.UTC(2026, 0, 1);
  const date = new Date(second).toUTCString();
  // It was asked at 100 ms of a machine that is an hour behind, and answered within the second that `Date` names.
  clock.learn(date, second - 3_600_000 + 100, second - 3_600_000 + 150);
  assert.ok(Math.abs(offset() - 3_600_000 - 375) <= 530, String(offset()));
  clock.learn(date, second + 100, second + 150);
  assert.ok(Math.abs(offset()) < 1_000, String(offset()));
  clock.learn(null, second, second);
  assert.ok(Math.abs(offset()) < 1_000, String(offset()));
});

test("outside a page a client has to know its server", () => {
  assert.throws(() => connect(), TypeError);
});

const run = (token) =>
  new Promise((resolve) => {
    const example = fileURLToPath(new URL("../example.mjs", import.meta.url));
    execFile(process.execPath, [example, token, demonstration.base], (error, out) => resolve({ code: error?.code ?? 0, out }));
  });

test("the example buys two seats and hears of it, and fails where it may not", async () => {
  const good = await run(demonstration.admin);
  assert.equal(good.code, 0, good.out);
  assert.match(good.out, /signed in[\s\S]*seats left[\s\S]*held 1층\S+ and [\s\S]*ReservationConfirmed[\s\S]*confirmed: reservation \w+\n$/);
  const { accessToken } = await fan();
  assert.equal((await run(accessToken)).code, 1);
});
