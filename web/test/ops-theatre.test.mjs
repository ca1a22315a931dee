// The operations page where a show sells like a theatre: phases, codes, allotments, areas, accessible seats.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { OpsWorld } from "./operators.mjs";

let world;
before(async () => {
  world = await OpsWorld.start();
});
after(() => world?.stop());

const fromNow = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();
const SECOND = 1 / 3_600;

/** A sale in the second of three phases, two days before it is general. */
const presale = (name, policy = {}, closes = 2) =>
  world.opsSale(
    name,
    {
      phases: [
        { phaseId: "early", name: "Early birds", opensAt: fromNow(-4), closesAt: fromNow(-3) },
        { phaseId: "fans", name: "Fan club", opensAt: fromNow(-1), closesAt: fromNow(closes), maxSeatsPerUser: 2 },
        { phaseId: "card", name: "Card holders", opensAt: fromNow(5), closesAt: fromNow(7), grades: ["R", "S"] },
      ],
      ...policy,
    },
    { salesOpenAt: fromNow(48) },
  );

const stages = async (page) => (await page.locator(".stage").allInnerTexts()).map((text) => text.replace(/\s+/g, " "));

test("the phases of a sale say what is on, what comes, and when", async () => {
  const { id, page: path } = await presale("phases", {}, 14 * SECOND);
  const who = await world.comes("operator");
  const { page } = who;
  await page.goto(`${path}/access`);
  await page.locator("#phase-now", { hasText: /Fan club ends in 0:\d\d/ }).waitFor();
  const then = await stages(page);
  assert.match(then[0], /Early birds early Over/);
  assert.match(then[1], /Fan club fans On now ends in 0:\d\d .* All 2$/);
  assert.match(then[2], /Card holders card Next in [45]:\d\d:\d\d .* R, S 4$/);
  assert.match(then[3], /General sale Later .* All 4$/);
  await who.isAccessible("phases");

  // It ends by the server's clock, and the page says so by itself.
  await page.locator("#phase-now", { hasText: /Next: Card holders in [45]:/ }).waitFor();
  assert.match((await stages(page))[1], /Fan club fans Over/);
  await who.see(".schedule-head .status.upcoming");

  // Opened by hand it is open to everyone, and no phase comes any more.
  await page.locator("#open-sale").click();
  await page.locator("#sure").click();
  await page.locator(".stage.on", { hasText: "General sale" }).waitFor();
  assert.match((await stages(page))[2], /Card holders card Doesn't open/);
  assert.equal((await world.call("GET", `/schedules/${id}`)).phase, null);
  await who.leave();
});

test("an administrator adds a phase, changes what one may have in it, and removes it", async () => {
  const { id, page: path } = await world.opsSale("plan", {}, { salesOpenAt: fromNow(48) });
  const before = (await world.call("GET", `/schedules/${id}`)).policy;
  const policy = async () => (await world.call("GET", `/schedules/${id}`)).policy;
  const local = (hours) => {
    const at = new Date(Math.floor(Date.now() / 60_000) * 60_000 + hours * 3_600_000);
    return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  };
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/access`);
  await page.locator("#add-phase").click();
  await page.locator("#phase-sure").click();
  await page.locator("dialog").getByText("Enter a name.").waitFor();
  await page.locator("dialog input[name=name]").fill("Fan club");
  await page.locator("dialog input[name=opensAt]").fill(local(2));
  await page.locator("dialog input[name=closesAt]").fill(local(60));
  await page.locator("#phase-sure").click();
  await page.locator("dialog").getByText("Phases are over when the general sale opens.").waitFor();
  await page.locator("dialog input[name=closesAt]").fill(local(4));
  await page.locator("dialog").getByLabel("R", { exact: true }).check();
  await page.locator("dialog input[name=maxSeatsPerUser]").fill("2");
  await who.isAccessible("the form of a phase");
  await page.locator("#phase-sure").click();
  await page.locator("#receipt", { hasText: "Fan club is changed. By admin-ann" }).waitFor();
  await page.locator(".stage", { hasText: /Fan club fan-club[\s\S]*R\s*2/ }).waitFor();
  const [phase] = (await policy()).phases;
  assert.deepEqual([phase.phaseId, phase.name, phase.grades, phase.maxSeatsPerUser], ["fan-club", "Fan club", ["R"], 2]);

  await page.getByRole("button", { name: "Change Fan club" }).click();
  await page.locator("dialog input[name=maxSeatsPerUser]").fill("0");
  await page.locator("#phase-sure").click();
  await page.locator("dialog").getByText("A whole number from 1 to 10,000.").waitFor();
  await page.locator("dialog input[name=maxSeatsPerUser]").fill("3");
  await page.locator("#phase-sure").click();
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.deepEqual((await policy()).phases, [{ ...phase, maxSeatsPerUser: 3 }], "what wasn't changed stays");

  await page.getByRole("button", { name: "Change General sale" }).click();
  await page.locator("dialog input[name=maxSeatsPerUser]").fill("6");
  await page.locator("dialog input[name=maxSeatsPerReservation]").fill("5");
  await page.locator("#phase-sure").click();
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Change Fan club" }).click();
  await page.locator("#phase-drop").click();
  await page.locator("#receipt", { hasText: "Fan club is removed." }).waitFor();
  await page.getByText("This sale has no phases").waitFor();
  assert.deepEqual(await policy(), { ...before, maxSeatsPerUser: 6, maxSeatsPerReservation: 5 });
  await who.leave();
});

test("a code has all that the API gives it, and nothing of it is lost when it is changed", async () => {
  const { id, page: path } = await world.opsSale("full-code", {}, { concertId: "live-night-1", salesOpenAt: fromNow(48) });
  await world.call("PUT", `/schedules/${id}/allotments/press`, { name: "Press", reason: "Reviews", areas: [{ areaId: "floor", count: 5 }] });
  const code = () => world.call("GET", `/schedules/${id}/codes/FULL-26`);
  const terms = {
    phases: ["gone"],
    allotmentId: "press",
    discount: { amountPerSeat: 5_000 },
    grades: ["ST"],
    priceTypes: ["youth"],
    maxUses: 9,
    maxSeats: 20,
    validFrom: "2026-01-01T00:00:00.123Z",
    validUntil: "2036-01-01T00:00:00.456Z",
  };
  const { concertId, startsAt, endsAt, policy } = await world.call("GET", `/schedules/${id}`);
  const plan = { concertId, startsAt, endsAt, salesOpenAt: fromNow(48) };
  const gone = { phaseId: "gone", name: "Gone", opensAt: fromNow(2), closesAt: fromNow(3) };
  await world.call("PUT", `/schedules/${id}`, { ...plan, policy: { ...policy, phases: [gone] } });
  await world.call("PUT", `/schedules/${id}/codes/FULL-26`, terms);
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/access`);
  await page.locator(".code-list tbody tr", { hasText: /FULL-26[\s\S]*Gone · out of Press · ST · 청소년[\s\S]*₩5,000[\s\S]*0 of 9[\s\S]*0 of 20/ }).waitFor();
  await page.getByRole("button", { name: "Change code FULL-26" }).click();
  await page.locator("dialog input[name=maxUses]").fill("10");
  await page.locator("#code-sure").click();
  await page.locator("#receipt", { hasText: "FULL-26 is defined" }).waitFor();
  assert.deepEqual(await code(), { ...terms, maxUses: 10, code: "FULL-26", used: 0, seats: 0 });

  // A phase that the sale hasn't any more doesn't go by itself: then the code would be one of the general sale.
  await world.call("PUT", `/schedules/${id}`, { ...plan, policy });
  await page.reload();
  await page.getByRole("button", { name: "Change code FULL-26" }).click();
  await page.locator("#code-sure").click();
  await page.locator("dialog .notice.wrong", { hasText: "no such phase" }).waitFor();
  await page.locator("dialog").getByLabel("gone").uncheck();
  await page.locator("dialog").getByLabel("일반").check();
  await page.locator("#code-sure").click();
  await page.locator(".code-list tbody tr", { hasText: /General sale · out of Press · ST · 일반 · 청소년/ }).waitFor();
  const after = await code();
  assert.deepEqual([after.phases, after.priceTypes], [undefined, ["adult", "youth"]]);
  await who.leave();
});

test("a sale without phases says that it has none", async () => {
  const { page: path } = await world.opsSale("plain");
  const who = await world.comes("auditor");
  await who.page.goto(`${path}/access`);
  await who.page.getByText("This sale has no phases").waitFor();
  await who.page.getByText("Codes need a token of the role admin.").waitFor();
  assert.equal(await who.page.locator("#phase-now, #put-code").count(), 0);
  await who.leave();
});

test("a code is defined, used, changed, found and ended", async () => {
  const { id, page: path } = await presale("code");
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/access`);
  await page.getByText("There are no codes yet.").waitFor();
  await page.locator("#put-code").click();
  await who.isAccessible("the form of a code");
  await page.locator("dialog input[name=code]").fill("no!");
  await page.locator("#code-sure").click();
  await page.locator("dialog").getByText("A code has 4 to 64 letters, digits and dashes.").waitFor();
  await page.locator("dialog input[name=code]").fill("fans-2026");
  await page.locator("dialog").getByLabel("Fan club").check();
  await page.locator("#discount-kind").selectOption("percent");
  await page.locator("dialog input[name=discount]").fill("101");
  await page.locator("#code-sure").click();
  await page.locator("dialog").getByText("A whole number from 1 to 100.").waitFor();
  await page.locator("dialog input[name=discount]").fill("10");
  await page.locator("dialog input[name=maxUses]").fill("5");
  await page.locator("#code-sure").click();
  await page.locator("#receipt", { hasText: "Code FANS-2026 is defined. By admin-ann" }).waitFor();
  const code = () => world.call("GET", `/schedules/${id}/codes/FANS-2026`);
  assert.deepEqual(await code(), { code: "FANS-2026", phases: ["fans"], discount: { percent: 10 }, maxUses: 5, used: 0, seats: 0 });

  const buyer = await world.buyer();
  const held = await buyer.hold(id, ["1층-B-1-1", "1층-B-1-2"], { code: "fans-2026" });
  assert.equal(held.amount, 306_000);
  await page.getByRole("button", { name: "Read again" }).click();
  await page.locator(".code-list tbody tr", { hasText: /FANS-2026[\s\S]*Fan club[\s\S]*10 %[\s\S]*1 of 5/ }).waitFor();

  await page.getByRole("button", { name: "Change code FANS-2026" }).click();
  assert.equal(await page.locator("dialog input[name=maxUses]").inputValue(), "5");
  assert.ok(await page.locator("dialog").getByLabel("Fan club").isChecked(), "the form begins with what is so");
  assert.equal(await page.locator("dialog input[name=discount]").inputValue(), "10");
  await page.locator("dialog input[name=maxUses]").fill("1");
  await page.locator("#code-sure").click();
  await page.locator(".code-list tbody tr", { hasText: "used up" }).waitFor();
  assert.deepEqual((await code()).maxUses, 1);
  assert.deepEqual((await code()).phases, ["fans"], "what wasn't changed stays");

  await page.locator(".code-find input").fill("nothing-here");
  await page.locator("#find-code").click();
  await page.locator(".notice", { hasText: "Nothing is found by this name." }).waitFor();
  await page.locator(".code-find input").fill("Fans-2026");
  await page.locator("#find-code").click();
  await page.locator(".code-list", { hasText: "FANS-2026" }).waitFor();

  await page.getByRole("button", { name: "End code FANS-2026" }).click();
  await page.locator("dialog").getByText("The reservation that has used it keep").waitFor();
  await page.locator("#end-sure").click();
  await page.locator("#receipt", { hasText: "Code FANS-2026 has ended. By admin-ann" }).waitFor();
  await assert.rejects(code(), /404/);
  await page.locator(".tabs a", { hasText: "History" }).click();
  await page.locator(".events tbody tr", { hasText: /Code ended FANS-2026\s*admin-ann/ }).waitFor();
  await who.leave();
});

/** What a click saves: its name, and its text. */
async function saved(page, selector) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator(selector).click()]);
  return [file.suggestedFilename(), await readFile(await file.path(), "utf8")];
}

test("codes are generated, and taken along as files", async () => {
  const { id, page: path } = await presale("batch");
  const who = await world.comes("admin", { acceptDownloads: true });
  const { page } = who;
  await page.goto(`${path}/access`);
  await page.locator("#make-codes").click();
  await page.locator("input[name=count]").fill("10001");
  await page.locator("#code-sure").click();
  await page.locator("dialog").getByText("A whole number from 1 to 10,000.").waitFor();
  await page.locator("input[name=count]").fill("250");
  await page.locator("input[name=prefix]").fill("vip");
  await page.locator("dialog").getByLabel("Card holders").check();
  await page.locator("dialog input[name=maxSeats]").fill("2");
  await page.locator("#code-sure").click();
  await page.locator("#made", { hasText: "250 codes are generated." }).waitFor();
  await page.locator("#receipt", { hasText: "250 codes are generated. By admin-ann" }).waitFor();
  await who.isAccessible("codes that were generated");

  const made = [];
  let cursor = "";
  do {
    const list = await world.call("GET", `/schedules/${id}/codes?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    made.push(...list.items);
    cursor = list.nextCursor;
  } while (cursor);
  const codes = made.map(({ code }) => code);
  assert.equal(codes.length, 250);
  assert.deepEqual([made[0].maxUses, made[0].maxSeats, made[0].phases], [1, 2, ["card"]]);

  const [csvName, csv] = await saved(page, "#made-csv");
  assert.match(csvName, /^codes-test-ops-batch-VIP\.csv$/);
  assert.ok(csv.startsWith("\ufeffcode\r\n"), "a spreadsheet knows that it is UTF-8");
  assert.deepEqual(csv.slice(1).trimEnd().split("\r\n").slice(1), codes);
  const [textName, text] = await saved(page, "#made-text");
  assert.match(textName, /\.txt$/);
  assert.deepEqual(text.trimEnd().split("\n"), codes);

  assert.equal(await page.locator(".code-list tbody tr").count(), 100);
  await page.getByRole("button", { name: "Show more" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".code-list tbody tr").length === 250);
  const [allName, all] = await saved(page, "#save-codes");
  assert.equal(allName, "codes-test-ops-batch.csv");
  const lines = all.slice(1).trimEnd().split("\r\n");
  assert.equal(lines[0], "code,phases,allotmentId,discount,grades,priceTypes,maxUses,used,maxSeats,seats,validFrom,validUntil");
  assert.equal(lines[1], `${codes[0]},card,,,,,1,0,2,0,,`);
  assert.equal(lines.length, 251);
  await who.leave();
});

const legend = (page, words, number) =>
  page
    .locator(".legend-choice label", { hasText: words })
    .filter({ hasText: new RegExp(`${words}\\s*${number}$`) })
    .waitFor();

test("seats are set aside from the map, are sold by their code alone, and are released", async () => {
  const { id, page: path } = await world.opsSale("allot");
  const allotment = () => world.call("GET", `/schedules/${id}/allotments/the-sponsor`);
  const who = await world.comes("operator");
  const { page } = who;
  await page.goto(`${path}/seats`);
  await page.getByText("No seats are set aside.").waitFor();
  await page.locator("#row-section").selectOption("1");
  await page.locator("#row-row").selectOption({ label: "4" });
  await page.locator("#choose-row").click();
  await page.locator("#allot", { hasText: "Set 24 seats aside…" }).click();
  await who.isAccessible("the form of an allotment");
  await page.locator("#allot-sure").click();
  await page.locator("dialog").getByText("Enter a name.").waitFor();
  await page.locator("dialog").getByText("Enter why: for whom, by which agreement.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("name")), "name", "the first that is wrong has the focus");
  await page.locator("dialog input[name=name]").fill("The Sponsor");
  assert.equal(await page.locator("dialog input[name=id]").inputValue(), "the-sponsor");
  await page.locator("dialog input[name=reason]").fill("Contract 12");
  await page.locator("dialog input[name=releaseAt]").fill("2001-01-01T00:00:00");
  await page.locator("#allot-sure").click();
  await page.locator("dialog").getByText("An instant ahead, at the latest the end of the show.").waitFor();
  const releaseAt = new Date(Date.now() + 3 * 86_400_000);
  releaseAt.setMilliseconds(0);
  const local = new Date(releaseAt.getTime() - releaseAt.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  await page.locator("dialog input[name=releaseAt]").fill(local);
  await page.locator("#allot-sure").click();
  await page.locator("#receipt", { hasText: "24 seats set aside for The Sponsor. By operator-ann" }).waitFor();
  const { name, reason, total, left, releaseAt: releases } = await allotment();
  assert.deepEqual({ name, reason, total, left, releases }, { name: "The Sponsor", reason: "Contract 12", total: 24, left: 24, releases: releaseAt.toISOString() });
  await legend(page, "Set aside", 24);
  await legend(page, "Blocked", 0);
  await who.shoot("ops-allotted");

  await world.call("PUT", `/schedules/${id}/codes/SPONSOR-26`, { allotmentId: "the-sponsor" });
  const buyer = await world.buyer();
  await buyer.buy(id, ["1층-B-4-1", "1층-B-4-2"], { code: "SPONSOR-26" });
  const line = page.locator(".allotments tbody tr", { hasText: "The Sponsor" });
  await line.filter({ hasText: /24\s*22\s*0\s*2/ }).waitFor();
  await legend(page, "Set aside", 22);

  // One is taken out, and another joins.
  await page.locator(".sections button", { hasText: "1층 B" }).click();
  const cell = (row, seat, words) => page.locator(`[role=gridcell][aria-label^="Row ${row}, seat ${seat}, ${words}"]`);
  await cell(4, 5, "Set aside").click();
  await page.locator("#seat-history").waitFor();
  await page.locator(".seat-history", { hasText: "Set aside · The Sponsor" }).waitFor();
  await page.locator("#unallot", { hasText: "Set 1 seat aside no longer" }).click();
  await page.locator("#receipt", { hasText: "1 seat no longer set aside for The Sponsor" }).waitFor();
  await cell(4, 5, "Free").waitFor();
  assert.equal((await allotment()).seats.includes("1층-B-4-5"), false);
  await page.getByRole("button", { name: "Choose none" }).click();
  await cell(5, 5, "Free").click();
  await page.locator("#allot").click();
  await page.locator("#allot-target").selectOption("the-sponsor");
  await page.locator("#allot-sure").click();
  await cell(5, 5, "Set aside").waitFor();
  const after = await allotment();
  assert.deepEqual([after.total, after.reason, after.releaseAt], [24, "Contract 12", releaseAt.toISOString()], "what wasn't changed stays");
  await page.getByRole("button", { name: "Choose none" }).click();

  // Seats of an allotment aren't put back as blocked ones are.
  await page.getByRole("button", { name: "Choose the seats of The Sponsor" }).click();
  await page.getByText("24 seats chosen").waitFor();
  assert.equal(await page.locator("#unblock").getAttribute("aria-disabled"), "true");
  await page.getByRole("button", { name: "Release The Sponsor" }).click();
  await page.locator("dialog").getByText("22 seats go on sale for everyone at once. What is held or sold stays so: 2 seats.").waitFor();
  await who.isAccessible("the question before a release");
  await page.locator("#release-sure").click();
  await page.locator("#receipt", { hasText: "The Sponsor is released. By operator-ann" }).waitFor();
  await page.getByText("No seats are set aside.").waitFor();
  assert.deepEqual(await world.seatsOf(id, "blocked"), []);
  await page.locator(".tabs a", { hasText: "History" }).click();
  await page.locator(".events tbody tr", { hasText: "Allotment released" }).waitFor();
  await who.leave();
});

test("places of an area are set aside, counted as they go, changed, and released", async () => {
  const { id, page: path } = await world.opsSale("shares", {}, { concertId: "live-night-1" });
  const allotment = () => world.call("GET", `/schedules/${id}/allotments/school`);
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/seats`);
  await page.locator("#allot-places").click();
  await page.locator("dialog input[name=name]").fill("School");
  await page.locator("dialog input[name=reason]").fill("Class trip");
  await page.locator("#allot-sure").click();
  await page.locator("dialog").getByText("Set aside at least one place.").waitFor();
  await page.locator("dialog").getByLabel("스탠딩, 400 free").fill("30");
  await who.isAccessible("the form of places that are set aside");
  await page.locator("#allot-sure").click();
  await page.locator("#receipt", { hasText: "30 places set aside for School." }).waitFor();
  assert.deepEqual((await allotment()).areas, [{ areaId: "floor", count: 30 }]);

  await world.call("PUT", `/schedules/${id}/codes/SCHOOL-26`, { allotmentId: "school" });
  const buyer = await world.buyer();
  await buyer.buy(id, null, { areas: [{ areaId: "floor", count: 3, priceType: "youth" }], code: "school-26" });
  await page.locator(".allotments tbody tr", { hasText: "스탠딩: 30, of which 27 left, 0 held, 3 sold" }).waitFor();

  // The counter sells out of it, and says how many are left there.
  await page.goto(`${path}/counter`);
  await page.locator("#counter-allotment").selectOption("school");
  await page.locator(".area-places legend", { hasText: "스탠딩, 27 free" }).waitFor();
  await page.locator("#counter input[name=area-floor-youth]").fill("2");
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: "Sold for ₩124,000: 스탠딩 × 2" }).waitFor();

  await page.goto(`${path}/seats`);
  await page.getByRole("button", { name: "Change School" }).click();
  assert.equal(await page.locator("dialog input[name=reason]").inputValue(), "Class trip");
  await page.locator("dialog").getByText("5 of them are held or sold: no fewer can be set aside.").waitFor();
  await page.locator("dialog input[name=area-floor]").fill("4");
  await page.locator("#allot-sure").click();
  await page.locator("dialog .field .wrong", { hasText: "no fewer can be set aside" }).waitFor();
  await page.locator("dialog input[name=area-floor]").fill("10");
  await page.locator("dialog input[name=reason]").fill("Class trip, fewer");
  await page.locator("#allot-sure").click();
  await page.locator("#receipt", { hasText: "School is changed." }).waitFor();
  const { reason, areaCounts } = await allotment();
  assert.deepEqual([reason, areaCounts], ["Class trip, fewer", [{ areaId: "floor", total: 10, held: 0, sold: 5, left: 5 }]]);

  await page.getByRole("button", { name: "Release School" }).click();
  await page.locator("dialog").getByText("5 places go on sale for everyone at once. What is held or sold stays so: 5 places.").waitFor();
  await page.locator("#release-sure").click();
  await page.getByText("No seats are set aside.").waitFor();
  await who.leave();
});

test("a refusal leaves the form, and says which seats were taken", async () => {
  const { id, page: path } = await world.opsSale("aside");
  const who = await world.comes("operator");
  const { page } = who;
  await page.route("**/seats/events", (route) => route.abort());
  await page.goto(`${path}/seats`);
  await page.locator(".sections button", { hasText: "1층 B" }).click();
  await page.locator('[role=gridcell][aria-label="Row 5, seat 3, Free"]').click();
  await (await world.buyer()).hold(id, ["1층-B-5-3"]);
  await page.locator("#allot").click();
  await page.locator("dialog input[name=name]").fill("Late");
  await page.locator("dialog input[name=reason]").fill("Too late");
  await page.locator("#allot-sure").click();
  await page.locator("dialog .notice.wrong", { hasText: "some of these seats were taken meanwhile. (1층-B-5-3)" }).waitFor();
  await who.leave();
});

test("an auditor sees allotments, and can't change them", async () => {
  const { id, page: path } = await world.opsSale("watched");
  await world.call("PUT", `/schedules/${id}/allotments/press`, { name: "Press", seats: ["1층-B-2-1", "1층-B-2-2"] });
  const who = await world.comes("auditor");
  const { page } = who;
  await page.goto(`${path}/seats`);
  await page.locator(".allotments", { hasText: "Press" }).waitFor();
  await legend(page, "Set aside", 2);
  await page.getByRole("button", { name: "Choose the seats of Press" }).click();
  await page.getByText("2 seats chosen").waitFor();
  assert.equal(await page.locator("#allot, #unallot, #block").count(), 0);
  assert.equal(await page.getByRole("button", { name: "Release Press" }).count(), 0);
  await who.leave();
});

test("accessible seats are told, and places of areas are counted as they go", async () => {
  const { id, page: path } = await world.opsSale("areas", {}, { concertId: "live-night-1" });
  const who = await world.comes();
  const { page } = who;
  await page.goto(path);
  const counts = page.locator("#area-counts tbody tr");
  await counts.filter({ hasText: /스탠딩[\s\S]*ST[\s\S]*₩77,000[\s\S]*400\s*0\s*0\s*0/ }).waitFor();
  const buyer = await world.buyer();
  await buyer.buy(id, null, { areas: [{ areaId: "floor", count: 3 }] });
  await counts.filter({ hasText: /397\s*0\s*3\s*0/ }).waitFor();
  await page.locator(".figures div", { hasText: "Sold at list price" }).filter({ hasText: "₩231,000" }).waitFor();
  await page.locator("#cancel-sale").click();
  await page.locator("#at-stake", { hasText: "1 person has 1 reservation of 3 seats. ₩234,000 goes back." }).waitFor();
  await page.keyboard.press("Escape");

  await page.locator(".tabs a", { hasText: "Seats" }).click();
  await page.locator(".mark-line", { hasText: "accessible" }).waitFor();
  await page.locator(".sections button", { hasText: "2층 B" }).click();
  await page.locator('[role=gridcell][aria-label="Row 3, seat 1, Free, Accessible seat"]').waitFor();
  await page.locator('[role=gridcell][aria-label="Row 3, seat 2, Free, Companion\'s seat"]').click();
  await page.locator(".seat-history", { hasText: "Companion's seat" }).waitFor();

  const { reservationId } = await buyer.hold(id, ["2층-B-1-1"], { areas: [{ areaId: "floor", count: 2 }] }).catch(() => ({}));
  assert.equal(reservationId, undefined, "four seats a person, of areas, too");
  const other = await world.buyer();
  const held = await other.hold(id, ["2층-B-1-1"], { areas: [{ areaId: "floor", count: 2 }] });
  await page.goto(`/ops/lookup?q=${held.reservationId}`);
  await page.locator("#found-reservation", { hasText: /2층-B-1-1[\s\S]*floor ×2/ }).waitFor();
  await page.goto(`${path}/history`);
  await page.locator(".events tbody tr", { hasText: /Held 2층-B-1-1 floor ×2/ }).waitFor();
  await who.leave();
});

test("a code is defined by the keyboard alone", async () => {
  const { id, page: path } = await presale("code-keys");
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/access`);
  await who.see("#put-code");
  await who.tabTo("#put-code");
  await page.keyboard.press("Enter");
  await who.tabTo("dialog input[name=code]");
  await page.keyboard.insertText("keys-only");
  await who.tabTo("dialog input[name=phases][value=fans]");
  await page.keyboard.press(" ");
  await who.tabTo("dialog input[name=maxUses]");
  await page.keyboard.insertText("7");
  await page.keyboard.press("Enter");
  await page.locator("#receipt", { hasText: "Code KEYS-ONLY is defined" }).waitFor();
  const { phases, maxUses } = await world.call("GET", `/schedules/${id}/codes/keys-only`);
  assert.deepEqual({ phases, maxUses }, { phases: ["fans"], maxUses: 7 });
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement?.id), "put-code", "the focus is where it was");
  await who.leave();
});

test("the box office sells what is chosen, the best, and out of an allotment", async () => {
  const { id, page: path } = await world.opsSale("counter", {}, { salesOpenAt: fromNow(48) });
  await world.call("PUT", `/schedules/${id}/allotments/house`, { name: "House seats", seats: ["1층-B-1-1", "1층-B-1-2"] });
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/counter`);
  await page.locator("#sell").click();
  await page.getByText("Choose 1 to 100 places.").first().waitFor();
  await page.locator(".sections button", { hasText: "1층 B" }).click();
  const cell = (row, seat) => page.locator(`[role=gridcell][aria-label^="Row ${row}, seat ${seat},"]`);
  await cell(1, 1).click();
  await page.locator("#chosen-places", { hasText: "Choose seats" }).waitFor();
  await cell(5, 3).click();
  await cell(5, 4).click();
  await page.locator(".counter-sum", { hasText: /2 places\s*₩340,000/ }).waitFor();
  await page.locator("#counter input[name=name]").fill("Kim");
  await page.locator("#counter-method").selectOption("card_terminal");
  await page.locator("#counter input[name=reference]").fill("slip 17");
  await page.locator("#other-amount").check();
  await page.locator("#counter input[name=amount]").fill("300000");
  await page.locator("#sell").click();
  await page.locator("#counter").getByText("Another amount needs a reason.").waitFor();
  await page.locator("#counter input[name=reason]").fill("Regular guest");
  // What is scrolled to may have moved something else behind the head of the page.
  await page.evaluate(() => scrollTo(0, 0));
  await who.isAccessible("the box office");
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: "Sold for ₩300,000: 1층 B, row 5, seat 3; 1층 B, row 5, seat 4 · Kim" }).waitFor();
  assert.match(await page.locator("#sold .lines").innerText(), /VIP × 2\s*₩340,000\s*Discount, Regular guest\s*-₩40,000/);
  assert.equal(await page.evaluate(() => document.activeElement?.closest("#sold") !== null), true, "the focus is at what was sold");
  await page.locator("#receipt", { hasText: /Sold: reservation .* By admin-ann/ }).waitFor();
  assert.deepEqual(await world.seatsOf(id, "reserved"), ["1층-B-5-3", "1층-B-5-4"]);
  assert.equal(await page.locator("#counter input[name=name]").inputValue(), "", "the next customer begins anew");

  // Seats that are set aside can be chosen for their allotment alone.
  await page.locator("#counter-allotment").selectOption("house");
  await cell(1, 1).click();
  await page.locator(".counter-sum", { hasText: "1 place" }).waitFor();
  await page.locator("#counter-method").selectOption("complimentary");
  await page.locator(".counter-sum", { hasText: "₩0" }).waitFor();
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: "Sold for ₩0: 1층 B, row 1, seat 1" }).waitFor();
  assert.equal((await world.call("GET", `/schedules/${id}/allotments/house`)).sold, 1);

  await page.getByRole("button", { name: "The best left" }).click();
  await page.locator("#best-grade").selectOption("A");
  await page.locator("#counter input[name=count-]").fill("3");
  await page.locator(".counter-sum", { hasText: /3 places\s*₩240,000/ }).waitFor();
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: "Sold for ₩240,000:" }).waitFor();
  assert.equal((await world.seatsOf(id, "reserved")).length, 6);
  await who.leave();
});

test("the counter has a price type for each seat and place, and says the exact sum before it is sold", async () => {
  const { id, page: path } = await world.opsSale("typed", {}, { concertId: "live-night-1" });
  const who = await world.comes();
  const { page } = who;
  await page.goto(`${path}/counter`);
  await page.locator(".sections button", { hasText: "2층 B" }).click();
  for (const seat of [5, 6, 7]) await page.locator(`[role=gridcell][aria-label^="Row 1, seat ${seat},"]`).click();
  const sum = (words) => page.locator("#counter", { hasText: words }).waitFor();
  await sum(/R 일반 × 3\s*₩297,000[\s\S]*예매 수수료 × 3\s*₩3,000[\s\S]*3 places\s*₩300,000/);
  await page.getByLabel("Price type of 2층 B, row 1, seat 6").selectOption("youth");
  await sum(/R 일반 × 2\s*₩198,000\s*R 청소년\s*₩79,000[\s\S]*₩280,000/);
  assert.equal(await page.locator("#all-types").inputValue(), "", "they are of several types");
  await page.locator("#all-types").selectOption("youth");
  await sum(/R 청소년 × 3\s*₩237,000[\s\S]*₩240,000/);
  await page.getByRole("button", { name: "Remove 2층 B, row 1, seat 7" }).click();
  await page.locator("#counter input[name=area-floor-adult]").fill("1");
  await page.locator("#counter input[name=area-floor-youth]").fill("2");
  const shown = (await page.locator("#counter > .lines").innerText()).split("\n");
  await sum(/5 places\s*₩362,000/);
  await who.isAccessible("price types at the counter");
  await who.shoot("ops-counter-typed");
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: "Sold for ₩362,000" }).waitFor();
  assert.deepEqual((await page.locator("#sold .lines").innerText()).split("\n"), shown, "what was said is what was sold");
  const [order] = (await world.call("GET", `/schedules/${id}/reservations`)).items;
  assert.equal(order.amount, 362_000);
  assert.deepEqual(
    order.seats.map(({ seatId, priceType }) => [seatId, priceType]),
    [["2층-B-1-5", "youth"], ["2층-B-1-6", "youth"]],
  );

  await page.getByRole("button", { name: "The best left" }).click();
  await page.locator("#best-grade").selectOption("R");
  await page.locator("#counter input[name=count-adult]").fill("1");
  await page.locator("#counter input[name=count-youth]").fill("1");
  await page.getByLabel("With an accessible seat").check();
  await sum(/2 places\s*₩180,000/);
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: /Sold for ₩180,000: 2층 B, row 3, seat 1; 2층 B, row 3, seat 2/ }).waitFor();
  await who.leave();
});

test("who sells at the counter sees the counter, and nothing else", async () => {
  const { id, page: path } = await world.opsSale("clerk", {}, { concertId: "live-night-1" });
  const asked = [];
  const who = await world.visitor();
  const { page } = who;
  page.on("response", (response) => response.status() === 403 && asked.push(response.url()));
  await page.goto("/ops");
  await page.locator("input[name=token]").fill(`${world.token("eve", "box_office").slice(0, -4)}AAAA`);
  await page.locator("#sign-in").click();
  await page.locator(".notice.wrong", { hasText: "doesn't know this token" }).waitFor();
  await page.locator("input[name=token]").fill(world.token("clerk-bo", "box_office"));
  await page.locator("#sign-in").click();
  await who.see("#performances");
  await who.isAccessible("the list of the box office");
  await page.locator(`#performances a[href$="${id}/counter"]`).click();
  await who.see("#counter");
  assert.deepEqual(await page.locator(".tabs a").allInnerTexts(), ["Box office"]);
  await page.locator("#counter input[name=area-floor-adult]").fill("3");
  await page.locator(".counter-sum", { hasText: /3 places\s*₩234,000/ }).waitFor();
  await page.locator("#sell").click();
  await page.locator("#sold", { hasText: "Sold for ₩234,000: 스탠딩 × 3" }).waitFor();
  await page.goto(`${path}/history`);
  await who.see("#counter");
  assert.deepEqual(asked, [], "nothing is asked for that the role may not see");
  assert.equal((await world.call("GET", `/schedules/${id}`)).seats.reserved, 3);
  await who.leave();
});

for (const [width, height] of [
  [1440, 900],
  [390, 844],
]) {
  for (const [locale, colorScheme] of [
    ["ko-KR", "light"],
    ["en-US", "dark"],
  ]) {
    test(`phases, codes and allotments have no barriers at ${width} pixels, ${locale}, ${colorScheme}`, async () => {
      const key = `${width}-${locale.slice(0, 2)}`;
      const { id, page: path } = await presale(`theatre-${key}`);
      await world.call("PUT", `/schedules/${id}/allotments/sponsor`, {
        name: "후원사",
        reason: "계약 12조",
        releaseAt: fromNow(20),
        seats: Array.from({ length: 12 }, (_, seat) => `1층-B-7-${seat + 7}`),
      });
      await world.call("PUT", `/schedules/${id}/codes/FANCLUB-2026`, { phases: ["fans"], discount: { percent: 10 }, maxUses: 500 });
      await world.call("PUT", `/schedules/${id}/codes/SPONSOR-2026`, { phases: ["fans"], allotmentId: "sponsor", validUntil: fromNow(30) });
      await world.call("POST", `/schedules/${id}/codes`, { count: 40, prefix: "CARD", phases: ["card"], grades: ["R"], maxSeats: 2 });
      await (await world.buyer()).buy(id, ["1층-B-7-7", "1층-B-7-8"], { code: "SPONSOR-2026" });
      const { page: night } = await world.opsSale(`night-${key}`, {}, { concertId: "live-night-1" });

      const who = await world.comes("admin", { width, height, locale, colorScheme });
      const { page } = who;
      const look = async (name, address, sign) => {
        await page.goto(address);
        await who.see(sign);
        await who.isAccessible(`${name} at ${width}`);
        await who.shoot(`ops-${key}-${name}`);
      };
      await look("access", `${path}/access`, ".code-list");
      await page.locator("#make-codes").click();
      await who.see("#code-sure");
      await who.isAccessible(`a form of codes at ${width}`);
      await who.shoot(`ops-${key}-make`);
      await look("phase", path, "#phase-now");
      await look("allotted", `${path}/seats`, ".allotments tbody");
      await page.locator(".allotments .row-acts button").first().click();
      await who.see("#unallot");
      await page.locator(".allotments").scrollIntoViewIfNeeded();
      await who.isAccessible(`an allotment at ${width}`);
      await who.shoot(`ops-${key}-allotment`);
      await page.goto(night);
      await who.see("#area-counts tbody");
      await page.locator("#area-counts").scrollIntoViewIfNeeded();
      await who.isAccessible(`areas at ${width}`);
      await who.shoot(`ops-${key}-areas`);
      await look("night", `${night}/seats`, ".mark-line");
      await look("counter", `${night}/counter`, "#counter");
      await who.leave();
    });
  }
}

test("phases and codes can be read at 400 %, and without colours of its own", async () => {
  const { page: path } = await presale("theatre-zoomed");
  const who = await world.comes("admin", { width: 320, height: 256, forcedColors: "active", reducedMotion: "reduce" });
  for (const part of ["access", "seats"]) {
    await who.page.goto(`${path}/${part}`);
    await who.see(part === "access" ? ".codes .empty" : ".allotments");
    await who.fits(`${part} at 400 %`);
  }
  await who.page.goto(`${path}/access`);
  await who.page.locator("#make-codes").click();
  await who.see("#code-sure");
  await who.fits("the form of codes at 400 %");
  await who.leave();
});
