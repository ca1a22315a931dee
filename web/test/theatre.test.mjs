// The storefront where a show sells like a theatre: areas, accessible seats, phases, codes, price types. And that a show which uses none of it
// shows none of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { World } from "./world.mjs";

let world;
before(async () => {
  world = await World.start();
  await world.call("PUT", "/venues/hall", HALL);
  await world.call("PUT", "/concerts/festival", FESTIVAL);
  await world.call("PUT", "/venues/club", { name: "Club", timeZone: "Asia/Seoul", sections: [], areas: [FLOOR] });
  await world.call("PUT", "/concerts/club", { ...FESTIVAL, title: "Club Night", venueId: "club", grades: [STANDING] });
  await world.call("PUT", "/concerts/matinee", MATINEE);
});
after(() => world?.stop());

const FLOOR = { areaId: "floor", floor: "1층", name: "스탠딩", grade: "ST", capacity: 30 };
const STANDING = { grade: "ST", price: 60_000, color: "#2E6DA4" };

/** Two rows of six beside a standing area. In row 1 the first seat is accessible, and the second its companion's. */
const HALL = {
  name: "Hall",
  timeZone: "Asia/Seoul",
  stage: { outline: [[0, 0], [12, 0], [12, 2], [0, 2]] },
  areas: [{ ...FLOOR, outline: [[0, 3], [12, 3], [12, 6], [0, 6]] }],
  sections: [
    {
      sectionId: "A",
      floor: "1층",
      rows: [
        {
          rowId: "1",
          grade: "R",
          seats: Array.from({ length: 6 }, (_, index) => ({
            seatId: `1층-A-1-${index + 1}`,
            seatNumber: index + 1,
            x: 1 + index * 2,
            y: 8,
            ...(index === 0 && { accessible: true }),
            ...(index === 1 && { companionOf: "1층-A-1-1" }),
          })),
        },
        { rowId: "2", grade: "S", length: 6, at: [1, 10], step: [2, 0] },
      ],
    },
  ],
};
const FESTIVAL = {
  title: "Festival",
  artist: "Everyone",
  venueId: "hall",
  currency: "KRW",
  grades: [
    { grade: "R", price: 120_000, color: "#C0392B" },
    { grade: "S", price: 80_000, color: "#8E44AD" },
    STANDING,
  ],
};

/** The same with prices for the young, but not in every grade, and a fee that a cancellation keeps. */
const MATINEE = {
  ...FESTIVAL,
  title: "Matinee",
  priceTypes: [
    { priceType: "adult", name: "일반" },
    { priceType: "youth", name: "청소년", note: "만 18세 이하, 신분증 확인" },
  ],
  grades: [
    { ...FESTIVAL.grades[0], prices: { youth: 60_000 } },
    FESTIVAL.grades[1],
    { ...STANDING, prices: { youth: 40_000 } },
  ],
  fees: [{ feeId: "booking", name: "예매 수수료", amount: 2_000, per: "seat", refundable: false }],
};

/** A sale of the festival. */
const festival = (name, policy = {}, more = {}) =>
  world.sale(name, { maxSeatsPerReservation: 6, maxSeatsPerUser: 8, ...policy }, { concertId: "festival", ...more });

const fromNow = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();
const FANS = { phaseId: "fans", name: "팬클럽 선예매", opensAt: fromNow(-1), closesAt: fromNow(2) };

/** A sale in a phase for fans, whose code is in `codes`, a day before it is general. */
async function presale(name, policy = {}, code = {}, phase = {}) {
  const sale = await festival(name, { phases: [{ ...FANS, ...phase }], ...policy }, { salesOpenAt: fromNow(26) });
  await world.call("PUT", `/schedules/test-${name}/codes/FANS-2026`, { phases: ["fans"], ...code });
  return sale;
}

/** What a page asks for when it holds. */
const holdOf = (page) =>
  page
    .waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/v1/reservations"))
    .then((request) => request.postDataJSON());

/** Steps a number up. */
async function add(fan, label, times = 1) {
  for (let step = 0; step < times; step++) await fan.page.getByRole("button", { name: label, exact: true }).click();
}

const CODE = "input[name=code]";

test("two places of an area and a seat are held together, live for others, and exchanged", async () => {
  const sale = await festival("mixed");
  const [ann, bob] = [await world.fan(), await world.fan()];
  for (const fan of [ann, bob]) {
    await fan.page.goto(sale);
    await fan.page.locator(".area-name", { hasText: "30 left" }).waitFor();
  }
  await add(ann, "One more, 스탠딩", 2);
  await ann.chooseSeat("1층 A", "Row 2, seat 3");
  assert.match(await ann.page.locator(".bar").innerText(), /스탠딩 × 2[\s\S]*3 places\s*₩200,000/);
  await ann.isAccessible("places and a seat in one choice");
  await ann.shoot("areas-1440");

  const [asked] = await Promise.all([holdOf(ann.page), ann.page.locator("#hold").click()]);
  assert.deepEqual(asked, { scheduleId: "test-mixed", seats: ["1층-A-2-3"], areas: [{ areaId: "floor", count: 2 }] });
  await ann.see(".reservation.held .deadline");
  await ann.page.locator(".ticket", { hasText: "스탠딩 × 2" }).waitFor();
  await bob.page.locator(".area-name", { hasText: "28 left" }).waitFor();
  const ticket = await ann.page.locator(".ticket").innerText();
  assert.match(ticket, /row 2, seat 3[\s\S]*스탠딩 × 2[\s\S]*ST × 2[\s\S]*₩120,000[\s\S]*Total\s*₩200,000/);
  await ann.isAccessible("a hold with lines");
  await ann.shoot("areas-ticket");

  // An exchange begins with what is held.
  await ann.page.getByRole("link", { name: "Change seats" }).click();
  await ann.page.locator(".chips", { hasText: "스탠딩 × 2" }).waitFor();
  await add(ann, "One fewer, 스탠딩");
  await ann.page.locator("#hold").click();
  await ann.see(".reservation.held .deadline");
  assert.match(await ann.page.locator(".ticket").innerText(), /Total\s*₩140,000/);
  await bob.page.locator(".area-name", { hasText: "29 left" }).waitFor();
  await ann.payFromBalance();
  await ann.page.goto("/reservations");
  await ann.page.locator(".mine-line.confirmed", { hasText: /seat\s3,\sST\s·\s₩140,000/ }).waitFor();
  await ann.leave();
  await bob.leave();
});

test("an area that runs short leaves what it has in the choice, and says so", async () => {
  await world.call("PUT", "/venues/small", { ...HALL, name: "Small", areas: [{ ...FLOOR, capacity: 4 }] });
  await world.call("PUT", "/concerts/small", { ...FESTIVAL, venueId: "small" });
  const sale = await world.sale("short", { maxSeatsPerReservation: 6 }, { concertId: "small" });
  const [ann, bob] = [await world.fan(), await world.fan()];
  for (const fan of [ann, bob]) {
    await fan.page.goto(sale);
    await fan.page.locator(".area-name", { hasText: "4 left" }).waitFor();
    await add(fan, "One more, 스탠딩", 3);
  }
  await ann.page.locator("#hold").click();
  await ann.see(".reservation.held .deadline");
  await bob.page.locator(".bar-space .notice", { hasText: "someone was quicker. 1 left" }).waitFor();
  assert.match(await bob.page.locator(".bar").innerText(), /1 place\s*₩60,000/);
  await bob.isAccessible("an area that ran short");
  await bob.page.locator("#hold").click();
  await bob.see(".reservation.held .deadline");
  await ann.leave();
  await bob.leave();
});

test("a hall without numbered seats has no map and no list", async () => {
  const sale = await world.sale("club", { maxSeatsPerReservation: 4 }, { concertId: "club" });
  const fan = await world.fan({ width: 390, height: 844 });
  await fan.page.goto(sale);
  await fan.see(".areas");
  assert.equal(await fan.page.locator(".map, .by-list, .sections").count(), 0);
  await fan.isAccessible("a hall of places alone");
  await add(fan, "One more, 스탠딩", 4);
  assert.equal(await fan.page.getByRole("button", { name: "One more, 스탠딩" }).getAttribute("aria-disabled"), "true");
  await fan.shoot("club-390");
  await fan.page.locator("#hold").click();
  await fan.page.locator(".ticket", { hasText: "₩240,000" }).waitFor();
  await fan.leave();
});

test("what a show doesn't use isn't on its page nor in what it asks for", async () => {
  const [section] = HALL.sections;
  const row = { rowId: "1", grade: "R", length: 6 };
  await world.call("PUT", "/venues/plain", { name: "Plain", timeZone: "Asia/Seoul", sections: [{ ...section, rows: [row] }] });
  await world.call("PUT", "/concerts/plain", { ...FESTIVAL, venueId: "plain", grades: [FESTIVAL.grades[0]] });
  const sale = await world.sale("plain", {}, { concertId: "plain" });
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.see(".sections");
  const theatre = ".areas, .area-type, .switch, .code, .typed, .phases, .lines, .choosing-side > .back";
  assert.equal(await fan.page.locator(theatre).count(), 0);
  await fan.chooseSeat("1층 A", "Row 1, seat 4");
  assert.doesNotMatch(await fan.page.locator(".bar").innerText(), /Includes|place/);
  const [asked] = await Promise.all([holdOf(fan.page), fan.page.locator("#hold").click()]);
  assert.deepEqual(asked, { scheduleId: "test-plain", seats: ["1층-A-1-4"] });
  await fan.see(".reservation.held .deadline");
  assert.equal(await fan.page.locator(theatre).count(), 0);
  await fan.page.goto("/schedules/test-plain");
  await fan.see("#best-hold");
  const [best] = await Promise.all([holdOf(fan.page), fan.page.locator("#best-hold").click()]);
  assert.deepEqual(best, { scheduleId: "test-plain", bestAvailable: { count: 2 } });
  await fan.see(".reservation.held .deadline");
  await fan.leave();
});

for (const [locale, words] of [
  ["en-US", { join: "Take a place in line", needed: /You need a code/, wrong: /isn't valid for this sale now/, general: /General sale/ }],
  ["ko-KR", { join: "대기 순서 받기", needed: /코드가 있어야/, wrong: /쓸 수 없는 코드/, general: /일반 예매/ }],
]) {
  test(`the door of a presale asks for a code, and says what is wrong with one, ${locale}`, async () => {
    const name = `door-${locale.slice(0, 2)}`;
    const sale = await presale(name, { queue: { maxActive: 10 } });
    const fan = await world.fan({ locale });
    const { page } = fan;
    await page.goto(sale);
    await fan.see(".phases .now");
    const phases = await page.locator(".phases").innerText();
    assert.match(phases, /팬클럽 선예매/);
    assert.match(phases, words.general);
    await fan.isAccessible("the door of a presale");
    await fan.shoot(`door-${locale.slice(0, 2)}`);

    // Nobody is asked in vain: without a code the field says so.
    const said = page.locator(".code .wrong");
    await page.getByRole("button", { name: words.join }).click();
    await said.waitFor();
    assert.match(await said.innerText(), words.needed);
    await page.waitForFunction((code) => document.activeElement?.matches(code), CODE);
    assert.equal(await page.locator(CODE).getAttribute("aria-invalid"), "true");
    await page.locator(CODE).fill("WRONG-1");
    assert.equal(await said.count(), 0);
    await page.locator("#join").click();
    await said.waitFor();
    assert.match(await said.innerText(), words.wrong);
    await fan.isAccessible("a wrong code at the door");
    await fan.shoot(`wrong-code-${locale.slice(0, 2)}`);

    await page.locator(CODE).fill("fans-2026");
    const [joined] = await Promise.all([
      page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/queue/tokens")),
      page.locator("#join").click(),
    ]);
    assert.deepEqual(joined.postDataJSON(), { scheduleId: `test-${name}`, code: "fans-2026" });
    // The code that opened the door is there at the seats.
    await fan.see(".choosing");
    assert.equal(await page.locator(CODE).inputValue(), "fans-2026");
    const [asked] = await Promise.all([holdOf(page), page.locator("#best-hold").click()]);
    assert.equal(asked.code, "fans-2026");
    await fan.see(".reservation.held .deadline");
    await fan.leave();
  });
}

test("a link brings the code, and a code that is used up is said at the field", async () => {
  const sale = await presale("link", {}, { maxUses: 1 }, { grades: ["S"], maxSeatsPerUser: 2 });
  const [ann, bob] = [await world.fan(), await world.fan()];
  for (const fan of [ann, bob]) {
    await fan.page.goto(`${sale}?code=FANS-2026`);
    await fan.see("#best-hold");
    assert.equal(await fan.page.locator(CODE).inputValue(), "FANS-2026");
  }
  // The phase sells two seats of one grade to each: the others wait.
  assert.match(await ann.page.locator(".grades").innerText(), /R\s*₩120,000\s*later[\s\S]*S\s*₩80,000\s*6 free/);
  assert.match(await ann.page.locator(".chooses, .by-list").innerText(), /up to 2 seats/);
  await ann.chooseSeat("1층 A", "Row 1, seat 4");
  await ann.page.locator(".bar-space .notice", { hasText: "with the general sale" }).waitFor();
  assert.equal(await ann.page.locator(".chips li").count(), 0);
  await ann.page.locator("#best-hold").click();
  await ann.page.locator(".ticket", { hasText: "row 2" }).waitFor();

  await bob.page.locator("#best-hold").click();
  await bob.page.locator(".code .wrong", { hasText: "as often as it can be" }).waitFor();
  await bob.isAccessible("a code that is used up");
  await ann.leave();
  await bob.leave();
});

test("before a phase its opening is counted down to, beside the general sale, and the code can be entered", async () => {
  for (const [width, height, locale] of [
    [1440, 900, "en-US"],
    [390, 844, "ko-KR"],
  ]) {
    const name = `ahead-${width}`;
    const sale = await presale(name, {}, {}, { opensAt: fromNow(0.5) });
    const fan = await world.fan({ width, height, locale });
    await fan.page.goto(sale);
    await fan.see(".counting");
    const text = await fan.page.locator(".counting").innerText();
    assert.match(text, /팬클럽 선예매/);
    assert.match(text, /(29|30):\d\d/);
    assert.match(text, locale === "en-US" ? /General sale\s+from/ : /일반 예매\s+시작/);
    await fan.page.locator(CODE).fill("FANS-2026");
    await fan.isAccessible(`a phase ahead at ${width}`);
    await fan.shoot(name);
    await fan.page.goto("/shows/festival");
    await fan.page.locator(`.date[href$="${name}"] .date-state`, { hasText: "팬클럽 선예매" }).waitFor();
    await fan.leave();
  }
});

test("a phase opens on the page by itself", async () => {
  const opensAt = new Date(Date.now() + 4_000).toISOString();
  const sale = await presale("opens", {}, {}, { opensAt });
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.see(".counting");
  await fan.page.locator(CODE).fill("FANS-2026");
  await fan.see("#best-hold");
  await fan.page.locator("#best-hold").click();
  await fan.see(".reservation.held .deadline");
  await fan.leave();
});

test("a sale that takes codes asks whether one has one, and takes off what it is worth", async () => {
  const sale = await festival("discount");
  await world.call("PUT", "/schedules/test-discount/codes/SPRING", { discount: { percent: 10 } });
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.page.getByRole("button", { name: "I have a code" }).click();
  await fan.page.waitForFunction((code) => document.activeElement?.matches(code), CODE);
  await fan.page.locator(CODE).fill("spring");
  await fan.chooseSeat("1층 A", "Row 2, seat 1");
  await fan.page.locator("#hold").click();
  await fan.page.locator(".ticket", { hasText: /Discount, SPRING\s*-?₩8,000/ }).waitFor();
  assert.match(await fan.page.locator(".ticket").innerText(), /Total\s*₩72,000/);
  await fan.isAccessible("a hold with a discount");
  await fan.shoot("discount");
  await fan.leave();
});

test("who has an allotment's code sees its places as free, and no others, with the sum that they cost", async () => {
  const sale = await festival("aside", {}, { concertId: "matinee" });
  const seats = ["1층-A-2-2", "1층-A-2-3"];
  await world.call("PUT", "/schedules/test-aside/allotments/press", { name: "Press", seats, areas: [{ areaId: "floor", count: 4 }] });
  await world.call("PUT", "/schedules/test-aside/codes/PRESS-26", { allotmentId: "press", discount: { percent: 10 } });
  const [ann, bob] = [await world.visitor(), await world.fan()];
  const { page } = ann;
  const cell = (fan, seat) => fan.page.locator(`[role=gridcell][aria-label^="Row 2, seat ${seat},"]`);
  const isTaken = async (fan, seat) => (await cell(fan, seat).getAttribute("aria-disabled")) === "true";

  // A visitor sees what everyone does: a code is asked about as somebody.
  await page.goto(`${sale}?code=press-26`);
  await ann.see(".sections");
  await page.locator(".sections button").click();
  assert.deepEqual([await isTaken(ann, 1), await isTaken(ann, 2)], [false, true]);
  await page.getByRole("button", { name: "Apply" }).click();
  await page.locator(".demo-fan button").click();
  await page.locator(".code .hint", { hasText: "10% off each place. What is free now is set aside for you" }).waitFor();
  await page.locator(".grid-row").first().waitFor();
  assert.deepEqual([await isTaken(ann, 1), await isTaken(ann, 2), await isTaken(ann, 3)], [true, false, false]);
  await page.locator(".area-name", { hasText: "4 left" }).waitFor();
  await ann.isAccessible("a hall by an allotment's code");
  await ann.shoot("allotted-1440");

  // Someone with the same code is quicker for a seat and a place: that is seen at once.
  const code = { code: "PRESS-26" };
  const hold = { scheduleId: "test-aside", seats: [seats[1]], areas: [{ areaId: "floor", count: 1 }], ...code };
  const session = await (await fetch(`${world.base}/demo/sessions`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"role":"user"}' })).json();
  await world.call("POST", "/reservations", hold, { token: session.accessToken });
  await page.locator('[role=gridcell][aria-label^="Row 2, seat 3,"][aria-disabled=true]').waitFor();
  await page.locator(".area-name", { hasText: "3 left" }).waitFor();

  await cell(ann, 2).click();
  await add(ann, "One more, 스탠딩 · 청소년", 2);
  const bar = await page.locator(".bar").innerText();
  assert.match(bar, /Discount, PRESS-26 -₩16,000[\s\S]*3 places\s*₩150,000/);
  const [asked] = await Promise.all([holdOf(page), page.locator("#hold").click()]);
  assert.deepEqual(asked.seats, [{ seatId: seats[0], priceType: "adult" }]);
  await page.locator(".ticket", { hasText: /Total\s*₩150,000/ }).waitFor();

  // Its exchange begins with its code, and the seat that is held.
  await page.getByRole("link", { name: "Change seats" }).click();
  await page.locator(".code .hint", { hasText: "is set aside for you" }).waitFor();
  await page.locator(".bar", { hasText: /3 places\s*₩150,000/ }).waitFor();

  // Without the code it is the hall of everyone else.
  await bob.page.goto(sale);
  await bob.see(".sections");
  await bob.page.locator(".sections button").click();
  assert.deepEqual([await isTaken(bob, 1), await isTaken(bob, 2)], [false, true]);
  await ann.leave();
  await bob.leave();
});

test("a code that isn't valid is said at its field before anything is chosen", async () => {
  const sale = await festival("applied");
  await world.call("PUT", "/schedules/test-applied/codes/ONLY-S", { grades: ["S"] });
  const fan = await world.fan();
  const { page } = fan;
  await page.goto(sale);
  await page.getByRole("button", { name: "I have a code" }).click();
  await page.locator(CODE).fill("WRONG-1");
  await page.keyboard.press("Enter");
  await page.locator(".code .wrong", { hasText: "isn't valid for this sale now" }).waitFor();
  await page.waitForFunction((code) => document.activeElement?.matches(code), CODE);
  await page.locator(CODE).fill("only-s");
  await page.keyboard.press("Enter");
  await page.locator(".code .hint", { hasText: "For S." }).waitFor();
  await fan.chooseSeat("1층 A", "Row 1, seat 4");
  await page.locator(".bar-space .notice", { hasText: "Your code isn't for this" }).waitFor();
  await fan.isAccessible("a seat that a code isn't for");
  await fan.leave();
});

test("accessible seats are turned on, found and held by the keyboard alone", async () => {
  const sale = await festival("accessible");
  const fan = await world.fan();
  const { page } = fan;
  await page.goto(sale);
  await fan.see(".sections");
  await fan.tabTo("#accessible");
  await fan.isAccessible("the switch for accessible seats");
  await page.keyboard.press("Space");
  assert.ok(await page.locator("#accessible").isChecked());
  await page.locator("#live", { hasText: "2 free" }).waitFor();
  await fan.shoot("accessible-1440");
  await fan.tabTo(".sections button");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label")?.includes("Accessible seat"));
  for (const key of ["Enter", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  assert.equal(await page.locator(".chips li").count(), 2);
  await fan.isAccessible("accessible seats that are chosen");
  await fan.tabTo("#hold");
  const [asked] = await Promise.all([holdOf(page), page.keyboard.press("Enter")]);
  assert.deepEqual(asked, { scheduleId: "test-accessible", seats: ["1층-A-1-1", "1층-A-1-2"], accessible: true });
  await fan.see(".reservation.held .deadline");
  await fan.leave();
});

test("an accessible seat that is picked without the switch is explained, and one step away", async () => {
  const sale = await festival("kept");
  const fan = await world.fan({ width: 390, height: 844, locale: "ko-KR" });
  const { page } = fan;
  await page.goto(sale);
  await fan.see(".sections");
  await page.locator(".sections button").click();
  await page.locator('[role=gridcell][aria-label*="휠체어석,"], [role=gridcell][aria-label$="휠체어석"]').first().click();
  await page.locator(".bar-space .notice", { hasText: "남겨 둔 좌석" }).waitFor();
  assert.equal(await page.locator(".chips li").count(), 0);
  await fan.isAccessible("a seat that is kept");
  await fan.shoot("kept-390");
  await page.locator(".bar-space .notice button").click();
  assert.ok(await page.locator("#accessible").isChecked());
  const [asked] = await Promise.all([holdOf(page), page.locator("#best-hold").click()]);
  assert.deepEqual(asked.bestAvailable, { count: 2, accessible: true });
  await fan.page.locator(".ticket", { hasText: "1열 1번" }).waitFor();
  await fan.leave();
});

test("each seat and place has its price type, a running sum, lines, and what of it comes back", async () => {
  const sale = await festival("typed", {}, { concertId: "matinee" });
  const fan = await world.fan();
  const { page } = fan;
  await page.goto(sale);
  await fan.chooseSeat("1층 A", "Row 1, seat 3");
  await page.locator('[role=gridcell][aria-label^="Row 1, seat 4,"]').click();
  await page.locator('[role=gridcell][aria-label^="Row 2, seat 1,"]').click();
  // A grade in which one type alone is sold asks nothing.
  assert.equal(await page.locator(".typed select").count(), 2);
  assert.equal(await page.locator(".chips li").count(), 1);
  await page.getByLabel("Price for 1층 A, row 1, seat 4").selectOption("youth");
  await add(fan, "One more, 스탠딩 · 청소년");
  const bar = await page.locator(".bar").innerText();
  assert.match(bar, /청소년: 만 18세 이하, 신분증 확인/);
  assert.match(bar, /Includes 예매 수수료 ₩8,000/);
  assert.match(bar, /4 places\s*₩308,000/);
  await fan.isAccessible("a choice with price types");
  await fan.shoot("typed-1440");

  const [asked] = await Promise.all([holdOf(page), page.locator("#hold").click()]);
  assert.deepEqual(asked, {
    scheduleId: "test-typed",
    seats: [
      { seatId: "1층-A-1-3", priceType: "adult" },
      { seatId: "1층-A-1-4", priceType: "youth" },
      { seatId: "1층-A-2-1", priceType: "adult" },
    ],
    areas: [{ areaId: "floor", count: 1, priceType: "youth" }],
  });
  await fan.see(".reservation.held .deadline");
  await page.locator(".ticket", { hasText: /스탠딩 ST · 청소년/ }).waitFor();
  const ticket = await page.locator(".ticket").innerText();
  assert.match(ticket, /row 1, seat 4 R · 청소년/);
  assert.match(ticket, /R 일반\s*₩120,000[\s\S]*R 청소년\s*₩60,000[\s\S]*S 일반\s*₩80,000[\s\S]*ST 청소년\s*₩40,000/);
  assert.match(ticket, /예매 수수료 × 4\s*₩8,000\s*Total\s*₩308,000/);
  await fan.isAccessible("a hold with types and fees");
  await fan.shoot("typed-ticket");

  // An exchange begins with the types that are held.
  await page.getByRole("link", { name: "Change seats" }).click();
  await fan.see(".typed");
  assert.equal(await page.getByLabel("Price for 1층 A, row 1, seat 4").inputValue(), "youth");
  await page.getByRole("link", { name: "Keep my seats" }).click();

  await fan.payFromBalance();
  await page.locator("#cancel").click();
  const question = await page.locator("dialog").innerText();
  assert.match(question, /₩300,000 goes back[\s\S]*₩8,000 of what you paid isn't refunded/);
  await fan.isAccessible("what comes back of a ticket with a fee");
  await fan.shoot("typed-cancel");
  await page.locator("#cancel-yes").click();
  await page.getByText("₩300,000 was refunded").waitFor();
  await fan.leave();
});

test("the best places are asked for by price type", async () => {
  const sale = await festival("best-typed", {}, { concertId: "matinee" });
  const fan = await world.fan({ width: 390, height: 844, locale: "ko-KR" });
  const { page } = fan;
  await page.goto(sale);
  await fan.see(".best .area-type");
  await page.locator(".best").getByRole("button", { name: "청소년 한 매 더하기" }).click();
  await fan.isAccessible("the best places by price type");
  await page.locator(".best").scrollIntoViewIfNeeded();
  await fan.shoot("best-typed-390");
  const [asked] = await Promise.all([holdOf(page), page.locator("#best-hold").click()]);
  assert.deepEqual(asked.bestAvailable, { count: 3, priceTypes: { adult: 2, youth: 1 } });
  await fan.page.locator(".ticket", { hasText: "청소년" }).waitFor();
  await fan.isAccessible("a hold with types at 390");
  await fan.shoot("typed-ticket-390");
  await fan.leave();
});

test("a link that leads nowhere is a page with a way on", async () => {
  const fan = await world.visitor();
  const answer = await fan.page.goto("/shedules/festival");
  assert.equal(answer.status(), 404);
  await fan.page.getByRole("heading", { name: "There is nothing here" }).waitFor();
  await fan.isAccessible("a link that leads nowhere");
  await fan.shoot("nowhere");
  await fan.page.getByRole("link", { name: "See what is on" }).click();
  await fan.see(".shows");
  await fan.leave();
});

test("a sale's date stays on a line in Korean", async () => {
  const sale = await festival("date");
  for (const width of [1440, 390]) {
    const fan = await world.visitor({ width, height: 900, locale: "ko-KR" });
    await fan.page.goto(sale);
    await fan.see(".sale-head h1");
    const lines = await fan.page.locator(".sale-head h1").evaluate((heading) => {
      const range = document.createRange();
      range.selectNodeContents(heading.firstChild);
      return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
    });
    assert.equal(lines, 1, `the date at ${width} pixels`);
    await fan.leave();
  }
});

test("a wish says what is chosen and nothing that its show doesn't use", async () => {
  const { bodyOf, countOf } = await world.source("base/wish");
  const plain = { accessible: false, code: "" };
  const seats = [{ seatId: "a", priceType: null }];
  assert.deepEqual(bodyOf({ seats, areas: [] }, plain), { seats: ["a"] });
  assert.deepEqual(bodyOf({ grade: null, counts: { "": 2 } }, plain), { bestAvailable: { count: 2 } });
  assert.deepEqual(bodyOf({ grade: "VIP", counts: { adult: 1, youth: 2, senior: 0 } }, { accessible: true, code: "C" }), {
    bestAvailable: { count: 3, grade: "VIP", priceTypes: { adult: 1, youth: 2 }, accessible: true },
    accessible: true,
    code: "C",
  });
  const typed = { seats: [{ seatId: "b", priceType: "youth" }], areas: [{ areaId: "floor", count: 3, priceType: "adult" }] };
  assert.deepEqual(bodyOf(typed, plain), {
    seats: [{ seatId: "b", priceType: "youth" }],
    areas: [{ areaId: "floor", count: 3, priceType: "adult" }],
  });
  assert.equal(countOf(typed), 4);
});

test("a sale's next change is that of its phases and of the general sale, in order", async () => {
  const { nextChange, nextOpening, openPhase, phasesAhead } = await world.source("shop/phases");
  const at = (hours) => new Date(hours * 3_600_000).toISOString();
  const now = (hours) => hours * 3_600_000;
  const phases = [
    { phaseId: "card", name: "Card", opensAt: at(30), closesAt: at(40) },
    { phaseId: "fans", name: "Fans", opensAt: at(10), closesAt: at(20) },
  ];
  const sale = { status: "upcoming", phase: null, salesOpenAt: at(50), salesCloseAt: null, startsAt: at(100), policy: { phases } };
  assert.deepEqual(phasesAhead(sale, now(0)).map(({ phaseId }) => phaseId), ["fans", "card"]);
  assert.deepEqual([nextChange(sale, now(0)), nextOpening(sale, now(0)).phase.phaseId], [now(10), "fans"]);
  const open = { ...sale, status: "open", phase: "fans" };
  assert.equal(openPhase(open).name, "Fans");
  assert.equal(nextChange(open, now(15)), now(20));
  assert.deepEqual(nextOpening(sale, now(25)), { at: at(30), phase: phases[0] });
  assert.deepEqual(nextOpening(sale, now(45)), { at: at(50), phase: null });
  const general = { ...sale, status: "open" };
  assert.deepEqual([openPhase(general), phasesAhead(general, now(15)), nextChange(general, now(60))], [null, [], now(100)]);
  assert.equal(nextChange({ ...sale, status: "cancelled" }, now(0)), null);
});
