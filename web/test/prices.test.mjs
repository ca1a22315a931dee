// What the storefront and the counter say that places cost, held to what the engine makes of them: the same lines, to the last won, of holds with
// and without a code, and of orders at the counter.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Demonstration } from "./demonstration.mjs";

let world, prices, wishes, user;
before(async () => {
  world = await Demonstration.start();
  [prices, wishes] = [await world.source("base/prices"), await world.source("base/wish")];
  user = await (await fetch(`${world.base}/demo/sessions`, { method: "POST", headers: JSON_BODY, body: '{"role":"user"}' })).json();
  await world.call("PUT", "/venues/priced", VENUE);
});
after(() => world?.stop());

const JSON_BODY = { "content-type": "application/json" };
const GRADES = ["VIP", "R", "S"];
const ROW = 60;
const AREAS = [
  { areaId: "pit", floor: "1층", name: "Pit", grade: "R", capacity: 90_000 },
  { areaId: "lawn", floor: "1층", name: "Lawn", grade: "ST", capacity: 90_000 },
];
const VENUE = {
  name: "Priced",
  timeZone: "Asia/Seoul",
  areas: AREAS,
  sections: [{ sectionId: "A", floor: "1층", rows: GRADES.map((grade) => ({ rowId: grade, grade, length: ROW })) }],
};
const TYPES = ["adult", "youth", "senior"].map((priceType) => ({ priceType, name: `${priceType} price` }));

/** Shows whose prices are odd, so that each rounding is seen: without types and fees, with some, and with all of both. */
const SHOWS = {
  plain: { grades: [11, 7, 3, 1], types: [], fees: [] },
  fees: { grades: [99_999, 33_333, 12_345, 1], types: [], fees: [["seat", 1_111], ["reservation", 2_999], ["seat", 1]] },
  types: { grades: [170_000, 77_777, 55_555, 12_121], types: TYPES, fees: [] },
  all: { grades: [150_001, 77_777, 5, 33_333], types: TYPES, fees: [["reservation", 1_500], ["seat", 1_000]] },
};
const showOf = ({ grades, types, fees }) => ({
  title: "Priced",
  artist: "Everyone",
  venueId: "priced",
  currency: "KRW",
  // Each type costs something in the first grade; in the others one or the other isn't sold.
  grades: [...GRADES, "ST"].map((grade, index) => ({
    grade,
    price: grades[index],
    color: "#333333",
    ...(types.length > 0 && { prices: Object.fromEntries(types.slice(1).flatMap(({ priceType }, type) => (index > 0 && (index + type) % 2 ? [] : [[priceType, Math.ceil(grades[index] / (type + 2))]]))) }),
  })),
  ...(types.length > 0 && { priceTypes: types }),
  ...(fees.length > 0 && { fees: fees.map(([per, amount], index) => ({ feeId: `fee-${index}`, name: `Fee ${index}`, amount, per, refundable: index % 2 === 0 })) }),
});

/** Numbers that are drawn, the same in each run. */
function drawn(seed) {
  let state = seed;
  const next = (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return { next, one: (list) => list[next(list.length)] };
}

/** Draws seats and places of areas that a show sells: what is asked for, and what of it has a price. */
function choice(show, draw, free) {
  const typeOf = (grade) => draw.one([null, ...prices.typesFor(show, grade).map(({ priceType }) => priceType)]);
  const seats = [];
  for (let left = draw.next(5); left > 0; left--) {
    const grade = draw.one(GRADES.filter((name) => free[name] > 0));
    seats.push({ grade, seatId: `1층-A-${grade}-${ROW + 1 - free[grade]--}`, priceType: typeOf(grade) });
  }
  const areas = new Map();
  for (let left = draw.next(4) || Number(seats.length === 0); left > 0; left--) {
    const area = draw.one(AREAS);
    const places = { areaId: area.areaId, grade: area.grade, count: 1 + draw.next(3), priceType: typeOf(area.grade) };
    // The first type, named or not, is one.
    areas.set(`${area.areaId} ${places.priceType ?? show.priceTypes?.[0].priceType}`, places);
  }
  const wish = {
    seats: seats.map(({ seatId, priceType }) => ({ seatId, priceType })),
    areas: [...areas.values()].map(({ areaId, count, priceType }) => ({ areaId, count, priceType })),
  };
  const places = [
    ...seats.map(({ grade, priceType }) => ({ grade, priceType, count: 1 })),
    ...[...areas.values()].map(({ areaId, grade, priceType, count }) => ({ area: areaId, grade, priceType, count })),
  ];
  return { wish, places };
}

const AS_IS = { accessible: false, code: "" };
const DISCOUNTS = [{ percent: 1 }, { percent: 10 }, { percent: 33 }, { percent: 50 }, { percent: 99 }, { percent: 100 }, { amountPerSeat: 1 }, { amountPerSeat: 5_001 }, { amountPerSeat: 1_000_000 }];

for (const [index, [name, terms]] of Object.entries(SHOWS).entries()) {
  const sale = async (part) => {
    const show = showOf(terms);
    await world.call("PUT", `/concerts/priced-${name}`, show);
    const policy = { maxSeatsPerReservation: 100, maxSeatsPerUser: 10_000 };
    await world.sale(`${name}-${part}`, policy, { concertId: `priced-${name}` });
    return { id: `test-${name}-${part}`, show, draw: drawn(index * 100 + part.length), free: Object.fromEntries(GRADES.map((grade) => [grade, ROW])) };
  };

  test(`a hold of the show "${name}" has the lines that were shown before it`, async () => {
    const { id, show, draw, free } = await sale("hold");
    for (let round = 0; round < 40; round++) {
      const { wish, places } = choice(show, draw, free);
      const discount = round % 3 === 0 ? null : draw.one(DISCOUNTS);
      const code = discount ? `CODE-${round}` : "";
      if (discount) await world.call("PUT", `/schedules/${id}/codes/${code}`, { discount });

      const off = discount && { code, discount };
      const shown = prices.linesOf(show, places, off);
      const body = { scheduleId: id, ...wishes.bodyOf(wish, { ...AS_IS, code }) };
      const held = await world.call("POST", "/reservations", body, { token: user.accessToken });
      assert.equal(held.amount, prices.sumOf(shown), JSON.stringify(body));
      // A plain hold has no lines to tell.
      if (held.lines) assert.deepEqual(shown, held.lines);
      await world.call("DELETE", `/reservations/${held.reservationId}`, undefined, { token: user.accessToken });
    }
  });

  test(`an order of the show "${name}" has the lines that the counter showed, whatever was taken for it`, async () => {
    const { id, show, draw, free } = await sale("order");
    for (let round = 0; round < 40; round++) {
      const { wish, places } = choice(show, draw, free);
      const lines = prices.linesOf(show, places);
      const method = draw.one(["cash", "card_terminal", "invoice", "complimentary"]);
      const amount = method === "complimentary" ? 0 : draw.one([null, 0, 1, prices.sumOf(lines), 1 + draw.next(2 * prices.sumOf(lines))]);
      const reason = draw.one(["A regular", "Damaged seat"]);
      const named = method !== "complimentary" && amount !== null;
      const shown = amount === null ? lines : prices.overridden(lines, amount, named ? reason : "complimentary");

      const { accessible: _, ...what } = wishes.bodyOf(wish, AS_IS);
      const body = { ...what, payment: { method }, ...(named && { amount, reason }) };
      const order = await world.call("POST", `/schedules/${id}/orders`, body, { key: `${id}-${round}` });
      assert.deepEqual(shown, order.lines, JSON.stringify(body));
      assert.equal(order.amount, prices.sumOf(shown));
    }
  });

  test(`the best places of a grade of the show "${name}" cost what the counter showed`, async () => {
    const { id, show, draw } = await sale("best");
    for (let round = 0; round < 20; round++) {
      const grade = draw.one([...GRADES, "ST"]);
      const types = prices.typesFor(show, grade);
      const counts = Object.fromEntries(types.length > 0 ? types.map(({ priceType }) => [priceType, draw.next(3)]) : [["", 1 + draw.next(3)]]);
      if (Object.values(counts).every((count) => count === 0)) counts[types[0].priceType] = 1;
      const shown = prices.linesOf(show, Object.entries(counts).map(([type, count]) => ({ grade, priceType: type || null, count })));

      const body = { ...wishes.bodyOf({ grade, counts }, AS_IS), payment: { method: "cash" } };
      const order = await world.call("POST", `/schedules/${id}/orders`, body, { key: `${id}-${round}` });
      assert.equal(order.amount, prices.sumOf(shown), JSON.stringify(body));
      const isSame = ({ kind: _, ...line }) => line;
      assert.deepEqual(shown.map(isSame), order.lines.map(isSame));
    }
  });
}

test("a type that a grade doesn't sell has no price, and nothing that is chosen costs nothing", () => {
  const show = showOf(SHOWS.all);
  assert.equal(prices.priceOf(show, "VIP", "youth"), 75_001);
  const unsold = show.grades.find(({ prices }) => !("youth" in prices));
  assert.equal(prices.priceOf(show, unsold.grade, "youth"), null);
  assert.equal(prices.linesOf(show, [{ grade: unsold.grade, priceType: "youth", count: 1 }]), null);
  assert.equal(prices.typesFor(show, unsold.grade).some(({ priceType }) => priceType === "youth"), false);
  assert.deepEqual(prices.linesOf(show, []), []);
});
