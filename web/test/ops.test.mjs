// The operations page, as those who run sales use it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { OpsWorld, pastes } from "./operators.mjs";

let world;
before(async () => {
  world = await OpsWorld.start();
});
after(() => world?.stop());

const token = (user, role) => world.token(user, role);
const comes = (role, options) => world.comes(role, options);
const fan = () => world.buyer();
const sale = (name, ...more) => world.opsSale(name, ...more);
const seatsOf = (id, status) => world.seatsOf(id, status);

test("the door lets in who may see, and keeps the token in its tab", async () => {
  const who = await world.visitor();
  const { page } = who;
  await page.goto("/ops");
  await who.see("input[name=token]");
  await who.isAccessible("the door");
  const wrong = page.locator(".notice.wrong");
  for (const [text, why] of [
    ["short", /isn't a token/],
    [token("eve", "user"), /role sees nothing/],
    [token("eve", "feed"), /role sees nothing/],
    [`${token("eve", "admin").slice(0, -4)}AAAA`, /doesn't know this token/],
    ["x".repeat(40), /doesn't know this token/],
  ]) {
    await pastes(who, text);
    await wrong.filter({ hasText: why }).waitFor();
  }
  await pastes(who, `Bearer ${world.admin}`);
  await who.see(".figures");
  assert.match(await page.locator(".who").innerText(), /scripts admin/);
  await page.reload();
  await who.see(".figures");

  const other = await who.context.newPage();
  who.watch(other);
  await other.goto("/ops");
  await other.locator("input[name=token]").waitFor();
  assert.deepEqual(await other.evaluate(() => Object.values(localStorage).filter((text) => text.length > 30)), [], "no other tab has the token");

  await page.locator("#sign-out").click();
  await who.see("input[name=token]");
  await page.reload();
  await who.see("input[name=token]");
  await who.leave();
});

test("a token that is over is said, and asked for again", async () => {
  const who = await comes("operator");
  await who.page.route("**/api/v1/admin/overview", (route) =>
    route.fulfill({
      status: 401,
      contentType: "application/problem+json",
      body: JSON.stringify({ type: "/problems/token-expired", title: "", status: 401, detail: "", code: "token_expired" }),
    }),
  );
  await who.page.locator(".notice", { hasText: "Your token has expired" }).waitFor();
  await who.leave();
});

test("a sale is opened and closed, and the journal says by whom and when", async () => {
  const { id, page: path } = await sale("hand", {}, { salesOpenAt: new Date(Date.now() + 3_600_000).toISOString() });
  const who = await comes("operator");
  const { page } = who;
  await page.goto(path);
  await page.locator("#open-sale").click();
  assert.match(await page.locator("dialog").innerText(), /1,210 free seats go on sale/);
  await who.isAccessible("the question before a sale opens");
  await page.locator("#sure").click();
  await page.locator("#receipt", { hasText: /The sale is open\. By operator-ann at \d\d:\d\d:\d\d\.\d{3}, entry \d/ }).waitFor();
  assert.equal((await world.call("GET", `/schedules/${id}`)).status, "open");
  await page.locator("#close-sale").click();
  await page.locator("#sure").click();
  await page.locator("#receipt", { hasText: "The sale is closed. By operator-ann" }).waitFor();
  await who.see(".schedule-head .status.closed");

  await page.locator(".tabs a", { hasText: "History" }).click();
  await page.getByRole("button", { name: "Acts of administrators" }).click();
  const acts = await page.locator(".events tbody tr").allInnerTexts();
  assert.match(acts[0], /Sale closed\s+operator-ann/);
  assert.match(acts[1], /Sale opened\s+operator-ann/);
  await who.leave();
});

test("a performance is cancelled by typing its id, after how many people and how much money", async () => {
  const { id, page: path } = await sale("cancel");
  const [ann, bob] = [await fan(), await fan()];
  await ann.buy(id, ["1층-B-1-1", "1층-B-1-2"]);
  await bob.buy(id, ["1층-B-1-3"]);
  const who = await comes();
  const { page } = who;
  await page.goto(path);
  await page.locator("#cancel-sale").click();
  await page.locator("#at-stake", { hasText: "2 people have 2 reservations of 3 seats. ₩510,000 goes back." }).waitFor();
  await who.isAccessible("the question before a cancellation");
  await who.shoot("ops-cancel");
  const sure = page.locator("#cancel-sure");
  await sure.click();
  await page.getByText("That isn't the id of this schedule.").waitFor();
  await page.locator("input[name=scheduleId]").fill("test-ops");
  await page.keyboard.press("Enter");
  await page.getByText("That isn't the id of this schedule.").waitFor();
  assert.equal((await world.call("GET", `/schedules/${id}`)).status, "open", "nothing is done before the id is typed");

  await page.locator("input[name=scheduleId]").fill(id);
  await sure.click();
  await page.locator("#receipt", { hasText: "The performance is cancelled. By admin-ann" }).waitFor();
  assert.equal((await world.call("GET", `/schedules/${id}`)).status, "cancelled");
  await page.locator(".figures div", { hasText: "Refunds owed" }).filter({ hasText: "2 done" }).waitFor();
  assert.equal(await page.locator("#open-sale, #close-sale, #cancel-sale").count(), 0);
  await who.leave();
});

test("each role is offered what it may do, and told what it may not", async () => {
  const { id, page: path } = await sale("roles");
  await (await fan()).buy(id, ["1층-B-1-1"]);

  const operator = await comes("operator");
  await operator.page.goto(path);
  await operator.page.locator("#cancel-sale").click();
  await operator.page.locator("#at-stake", { hasText: /1 seat sold, worth ₩170,000.*Your role can't see how many people/ }).waitFor();
  await operator.page.keyboard.press("Escape");
  await operator.page.goto("/ops/lookup");
  await operator.page.getByText("needs a token of the role auditor or admin").waitFor();
  await operator.leave();

  const auditor = await comes("auditor");
  await auditor.page.goto(path);
  await auditor.see(".charts");
  await auditor.page.locator(".tabs a", { hasText: "Seats" }).click();
  await auditor.page.locator("#choose-row").click();
  await auditor.see("#selection");
  assert.equal(await auditor.page.locator("#open-sale, #close-sale, #cancel-sale, #block, #unblock").count(), 0);
  await auditor.leave();
});

test("a room is paced and paused while it runs", async () => {
  const { id, page: path } = await sale("pace", { queue: { maxActive: 5 } });
  const who = await comes();
  const { page } = who;
  await page.goto(`${path}/room`);
  await page.locator("input[name=maxActive]").fill("many");
  await page.locator("#set-pace").click();
  await page.getByText("A whole number from 1 to 1,000,000.").waitFor();
  await page.locator("input[name=maxActive]").fill("7");
  await page.locator("input[name=admitPerMinute]").fill("90");
  await page.locator("#set-pace").click();
  await page.locator("#receipt", { hasText: /At most 7 people at the seats, 90 let in a minute\. By admin-ann at/ }).waitFor();
  const { maxActive, admitPerMinute } = await world.call("GET", `/schedules/${id}/queue`);
  assert.deepEqual({ maxActive, admitPerMinute }, { maxActive: 7, admitPerMinute: 90 });

  await page.locator("input[name=admitPerMinute]").fill("");
  await page.locator("#set-pace").click();
  await page.locator("#receipt", { hasText: "without a limit" }).waitFor();
  await page.locator("#pause").click();
  await page.locator("#receipt", { hasText: "Nobody is let in for now. By admin-ann" }).waitFor();
  const room = await world.call("GET", `/schedules/${id}/queue`);
  assert.deepEqual([room.paused, room.admitPerMinute], [true, null]);
  await page.locator("#pause", { hasText: "Let people in again" }).click();
  await page.locator("#receipt", { hasText: "People are let in again" }).waitFor();
  assert.equal((await world.call("GET", `/schedules/${id}/queue`)).paused, false);
  await who.leave();
});

test("seats are taken off sale by row, on the map and in the list, and put back", async () => {
  const { id, page: path } = await sale("block");
  const ann = await fan();
  const who = await comes("operator");
  const { page } = who;
  await page.goto(`${path}/seats`);
  await page.locator("#row-section").selectOption("1");
  await page.locator("#row-row").selectOption({ label: "4" });
  await page.locator("#choose-row").click();
  await page.getByText("24 seats chosen").waitFor();

  // One of them is held meanwhile, and is left alone.
  await ann.hold(id, ["1층-B-4-7"]);
  await page.getByText("1 of these seats is held or sold").waitFor();
  await page.locator("#block", { hasText: "Take 23 seats off sale" }).click();
  await page.locator("#receipt", { hasText: "23 seats off sale. By operator-ann" }).waitFor();
  assert.equal((await seatsOf(id, "blocked")).length, 23);
  await page.locator(".legend-choice label", { hasText: "Blocked" }).filter({ hasText: "23" }).waitFor();
  await who.shoot("ops-blocked");

  // The map is near by now: a tap chooses a seat.
  await page.locator(".map canvas").click();
  await page.getByText("1 seat chosen").waitFor();
  await who.see("#seat-history");
  await page.getByRole("button", { name: "Choose none" }).click();

  await page.locator(".sections button", { hasText: "1층 B" }).click();
  await page.locator('[role=gridcell][aria-label="Row 4, seat 1, Blocked"]').click();
  await page.locator("#unblock", { hasText: "Put 1 seat back" }).click();
  await page.locator("#receipt", { hasText: "1 seat back on sale" }).waitFor();
  assert.equal((await seatsOf(id, "blocked")).includes("1층-B-4-1"), false);
  await page.locator(".seat-history .events", { hasText: "Back on sale" }).waitFor();
  await who.leave();
});

test("a refusal is told in a sentence, with the seats that it names", async () => {
  const { id, page: path } = await sale("refused");
  const who = await comes("operator");
  const { page } = who;
  await page.route("**/seats/events", (route) => route.abort());
  await page.goto(`${path}/seats`);
  await page.locator(".sections button", { hasText: "1층 B" }).click();
  await page.locator('[role=gridcell][aria-label="Row 5, seat 3, Free"]').click();
  await (await fan()).hold(id, ["1층-B-5-3"]);
  await page.locator("#block").click();
  await page.locator(".notice.wrong", { hasText: "Nothing was changed: some of these seats were taken meanwhile. (1층-B-5-3)" }).waitFor();
  await page.locator(".map-note").waitFor();
  await who.leave();
});

test("the map goes back in time, by the slider, by steps and by an instant", async () => {
  const { id, page: path } = await sale("scrub");
  const ann = await fan();
  const held = await ann.hold(id, ["1층-B-2-1", "1층-B-2-2"]);
  await ann.call("DELETE", `/reservations/${held.reservationId}`);
  await ann.hold(id, ["1층-B-3-1"]);
  const who = await comes("auditor");
  const { page } = who;
  await page.goto(`${path}/seats`);
  await page.getByRole("button", { name: "Back in time" }).click();
  const heldNow = (number) =>
    page
      .locator(".legend-choice label", { hasText: "Held" })
      .filter({ hasText: new RegExp(`Held\\s*${number}$`) })
      .waitFor();
  await heldNow(1);
  // Three steps back: the last hold, the release, the first hold.
  for (const [number, words] of [
    [1, "Held 1층-B-3-1"],
    [0, "Hold given up"],
    [2, "Held 1층-B-2-1, 1층-B-2-2"],
  ]) {
    await page.locator("#scrub-back").click();
    await heldNow(number);
    await page.locator(".scrub-event", { hasText: words }).waitFor();
  }
  await who.isAccessible("back in time");
  await who.shoot("ops-scrub");
  await page.locator("#scrub-on").click();
  await heldNow(0);
  await page.locator("#scrub-at").focus();
  await page.keyboard.press("End");
  await heldNow(1);
  await page.keyboard.press("Home");
  await heldNow(0);
  await page.locator(".scrub-event", { hasText: "Created" }).waitFor();
  await page.keyboard.press("End");
  await heldNow(1);
  const day = new Date(Date.now() - 86_400_000);
  await page.locator(".scrub-to input").fill(day.toISOString().slice(0, 19));
  await page.getByText("The sale didn't exist yet at that instant.").waitFor();
  await heldNow(0);

  await page.getByRole("button", { name: "Now" }).click();
  await heldNow(1);
  await who.leave();
});

test("a reservation, a user and a seat's whole history are looked up", async () => {
  const { id } = await sale("lookup");
  const ann = await fan();
  const { reservationId } = await ann.buy(id, ["1층-B-6-1", "1층-B-6-2"]);
  const account = { email: "kim@example.org", name: "Kim", password: "correct horse battery" };
  const signedUp = await fetch(`${world.base}/api/v1/users`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(account),
  });
  assert.ok(signedUp.ok);

  const who = await comes("auditor");
  const { page } = who;
  await page.locator(".top a", { hasText: "Look up" }).click();
  const lookUp = async (text) => {
    await page.locator("input[name=q]").fill(text);
    await page.locator("#look-up").click();
  };
  await lookUp(reservationId);
  await who.see("#found-reservation");
  assert.match(await page.locator("#found-reservation").innerText(), /Confirmed[\s\S]*₩340,000[\s\S]*Balance · Completed[\s\S]*1층-B-6-2/);
  await who.isAccessible("a reservation");

  await page.locator("#found-reservation a", { hasText: ann.userId }).click();
  await who.see("#found-user");
  assert.match(await page.locator("#found-user").innerText(), /Reservations \(1\)[\s\S]*Payments \(1\)[\s\S]*Movements of the balance \(2\)/);
  await who.isAccessible("a user");

  await lookUp("kim@example.org");
  await page.locator("#found-user", { hasText: "Kim" }).waitFor();
  await lookUp("nobody@example.org");
  await page.locator(".notice", { hasText: "Nothing is found by this name." }).waitFor();

  await page.locator("#find-seat").click();
  await page.getByText("Both are needed").waitFor();
  await page.locator("input[name=schedule]").fill(id);
  await page.locator("input[name=seat]").fill("1층-B-6-1");
  await page.locator("#find-seat").click();
  await who.see(".events tbody");
  const events = await page.locator(".events tbody tr").allInnerTexts();
  assert.deepEqual(
    events.map((line) => /Sold|Payment begun|Held/.exec(line)?.[0]),
    ["Sold", "Payment begun", "Held"],
  );
  assert.match(events[2], new RegExp(`Held 1층-B-6-1, 1층-B-6-2\\s+${ann.userId}\\s+${reservationId}`));
  await page.locator("input[name=seat]").fill("9층-Z-1-1");
  await page.keyboard.press("Enter");
  await page.locator(".notice", { hasText: "The venue has no such seat. (9층-Z-1-1)" }).waitFor();
  await who.leave();
});

test("a draw is made again in the browser, and one that isn't right is found out", async () => {
  const opensAt = Date.now() + 8_000;
  const { id, page: path } = await sale("draw", { queue: { maxActive: 3, order: "shuffle", opensAt: new Date(opensAt).toISOString() } });
  const fans = await Promise.all(Array.from({ length: 8 }, fan));
  for (const each of fans) await each.call("POST", "/queue/tokens", { scheduleId: id });
  const who = await comes("auditor");
  const { page } = who;
  await page.goto(`${path}/room`);
  await page.locator("#check-draw").click();
  await page.locator(".notice.good", { hasText: "The draw is right: 8 people stand in the order that the published seed gives." }).waitFor();
  const checks = await page.locator("#draw-checks li").allInnerTexts();
  assert.match(
    checks.join("\n"),
    /hash that was published at[\s\S]*8 of 8 people waited[\s\S]*3 of them were let in since, always the first in line/,
  );
  assert.equal(await page.locator("#draw-checks .wrong").count(), 0);
  assert.equal(await page.locator(".order tbody tr").count(), 8);
  await who.isAccessible("a draw");
  await who.shoot("ops-draw");

  // The room shows a seed that isn't the journal's.
  await page.route(`**/schedules/${id}/queue`, async (route) => {
    const response = await route.fetch();
    const room = await response.json();
    room.draw.seed = "07".repeat(32);
    await route.fulfill({ response, json: room });
  });
  await page.getByText("07".repeat(32)).waitFor();
  await page.locator(".notice.wrong").waitFor();
  await who.leave();
});

test("the browser's draw is the engine's, and an order that isn't kept is noticed", async () => {
  const out = join(world.folder, "draw.mjs");
  await build({ entryPoints: [new URL("../src/ops/draw.ts", import.meta.url).pathname], bundle: true, format: "esm", outfile: out });
  const { RoomFollower, shuffle } = await import(pathToFileURL(out).href);
  // Computed with Python's hashlib, as in src/domain/waiting_room/draw.rs.
  const order = [7, 9, 10, 1, 8, 5, 2, 4, 6, 3];
  assert.deepEqual(shuffle(new Uint8Array(32).fill(7), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), order);

  const draw = (admitted, ...between) => {
    const room = new RoomFollower();
    const take = (type, data) => room.take({ type, data, time: "2027-01-01T00:00:00.000Z", position: 1 });
    take("RoomConfigured", { queue: {}, seedSha256: "9e07f90e25f7c9cb2f8a1e8b2d7b7c3e0d" });
    for (let ticket = 1; ticket <= 12; ticket++) take("Joined", { ticket, userId: `fan-${ticket}`, admitted: false });
    take("Left", { ticket: 11 });
    take("PlacesExpired", { lastTicket: 0 });
    take("Left", { ticket: 12 });
    take("Drawn", { seed: "07".repeat(32) });
    for (const [type, data] of between) take(type, data);
    take("Admitted", { tickets: admitted });
    return room.checked();
  };
  assert.deepEqual(
    draw([7, 9]).order.map(({ ticket }) => ticket),
    order,
    "who left before isn't drawn",
  );
  assert.equal(draw([7, 9]).hashFits, false, "another hash was published");
  assert.equal(draw([7, 9]).admittedInOrder, true);
  assert.equal(draw([9]).admittedInOrder, false, "somebody was passed by");
  assert.equal(draw([9], ["Left", { ticket: 7 }]).admittedInOrder, true, "who left isn't passed by");
  assert.equal(draw([13], ["Joined", { ticket: 13, userId: "late", admitted: false }]).admittedInOrder, false, "who came later stands behind");
});

test("percentiles are those of what happened between two readings", async () => {
  const out = join(world.folder, "metrics.mjs");
  await build({ entryPoints: [new URL("../src/ops/metrics.ts", import.meta.url).pathname], bundle: true, format: "esm", outfile: out });
  const { between, quantile, read } = await import(pathToFileURL(out).href);
  const text = (fast, slow) => `onsale_decisions_total{command="hold",outcome="refused"} ${slow}
onsale_http_request_seconds_bucket{route="/api/v1/reservations",method="POST",le="0.01"} ${fast}
onsale_http_request_seconds_bucket{route="/api/v1/reservations",method="POST",le="0.1"} ${fast + slow}
onsale_http_request_seconds_bucket{route="/api/v1/reservations",method="POST",le="+Inf"} ${fast + slow}
onsale_http_request_seconds_bucket{route="/api/v1/events",method="GET",le="+Inf"} 5`;
  const [before, after] = [read(text(100, 0)), read(text(100, 10))];
  assert.equal(after.holdsRefused, 10);
  assert.deepEqual([...after.latency.keys()], ["POST /api/v1/reservations"], "a stream's time isn't a latency");
  const name = "POST /api/v1/reservations";
  const recent = between(before.latency.get(name), after.latency.get(name));
  assert.ok(Math.abs(quantile(recent, 0.5) - 0.055) < 1e-9, "the hundred of before don't count");
  assert.equal(between(after.latency.get(name), before.latency.get(name)), null, "an engine that started anew counts from nothing");
});

test("what happens is drawn by the second", async () => {
  const { id, page: path } = await sale("live");
  const who = await comes();
  const { page } = who;
  await page.goto(path);
  await page.locator(".chart", { hasText: "Seats that change hands" }).waitFor();
  // The first changes after a line comes back are of before.
  await page.waitForFunction(() => !document.querySelector(".charts")?.textContent.includes("The map isn't live"));
  const ann = await fan();
  const table = page.locator(".chart-table").first();
  await table.locator("summary").click();
  await table.locator("tbody tr").nth(4).waitFor();
  await ann.hold(id, ["1층-B-8-1", "1층-B-8-2", "1층-B-8-3"]);
  await page.waitForFunction(() => [...document.querySelectorAll(".chart-table tbody tr")].some((row) => row.children[2]?.textContent === "3"));
  await page.locator(".grades tbody tr", { hasText: "VIP" }).filter({ hasText: "237" }).waitFor();
  await page.locator('.top a[aria-current="page"]').click();
  await page.locator(".charts .chart", { hasText: "Latency of requests" }).waitFor();
  await page.waitForFunction(() => /p99\s*\d/.test(document.querySelectorAll(".chart")[2]?.textContent ?? ""));
  assert.equal(await page.locator(".chart").count(), 4);
  await page.locator(".route select").selectOption("POST /api/v1/reservations");
  await who.leave();
});

test("where metrics are at another address, the page does without them", async () => {
  const who = await world.visitor();
  await who.page.route("**/metrics", (route) => route.fulfill({ status: 404, body: "" }));
  await who.page.goto("/ops");
  await pastes(who, world.admin);
  await who.page.getByText("which this server gives at another address").waitFor();
  assert.equal(await who.page.locator(".chart").count(), 2);
  await who.leave();
});

test("a lost line is said, and survived", async () => {
  const { page: path } = await sale("line");
  const who = await comes();
  const { page } = who;
  await page.goto(path);
  await who.see(".charts");
  await who.context.setOffline(true);
  await page.locator(".trouble", { hasText: /The connection is lost.*The figures are those of \d\d:\d\d:\d\d/ }).waitFor();
  await who.isAccessible("a lost line");
  await who.context.setOffline(false);
  await page.locator(".trouble").waitFor({ state: "detached" });

  await page.route("**/admin/overview", (route) =>
    route.fulfill({ status: 503, contentType: "application/problem+json", body: '{"code":"not_ready","status":503}' }),
  );
  await page.locator(".trouble", { hasText: "The engine is starting or stopping" }).waitFor();
  await page.unroute("**/admin/overview");
  await page.locator(".trouble").waitFor({ state: "detached" });
  await who.leave();
});

test("seats are taken off sale by the keyboard alone", async () => {
  const { id } = await sale("keys");
  const who = await world.visitor();
  const { page } = who;
  await page.goto("/ops");
  await who.see("input[name=token]");
  await who.tabTo("input[name=token]");
  await page.keyboard.insertText(token("keyboard-ann", "operator"));
  await page.keyboard.press("Enter");
  await who.see(".list");
  await who.tabTo("input[type=search]");
  await page.keyboard.insertText(id);
  const link = `a[href="/ops/schedules/${id}"]`;
  await who.tabTo(link);
  await page.keyboard.press("Enter");
  await who.see(".tabs");
  await who.tabTo(`.tabs a[href$="/seats"]`);
  await page.keyboard.press("Enter");
  await who.see(".sections");
  await who.tabTo(".sections button");
  await page.keyboard.press("Enter");
  await who.see("[role=grid]");
  for (const key of ["ArrowDown", "Enter", "ArrowRight", " "]) await page.keyboard.press(key);
  await page.getByText("2 seats chosen").waitFor();
  await page.keyboard.press("Shift+Tab");
  for (let presses = 0; presses < 12 && !(await page.evaluate(() => document.activeElement?.id === "block")); presses++)
    await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.locator("#receipt", { hasText: "2 seats off sale. By keyboard-ann" }).waitFor();
  assert.equal((await seatsOf(id, "blocked")).length, 2);
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
    test(`the operations page has no barriers at ${width} pixels, ${locale}, ${colorScheme}`, async () => {
      const { id, page: path } = await sale("looks", { queue: { maxActive: 2 } });
      const { page: soon } = await sale("looks-draw", {
        queue: { maxActive: 2, order: "shuffle", opensAt: new Date(Date.now() + 3_600_000).toISOString() },
      });
      const who = await comes("admin", { width, height, locale, colorScheme });
      const { page } = who;
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
      const name = `ops-${width}-${locale.slice(0, 2)}`;
      const places = [
        ["all", "/ops", ".list tbody tr"],
        ["live", path, ".grades tbody"],
        ["seats", `${path}/seats`, ".map canvas"],
        ["room", `${path}/room`, "#set-pace"],
        ["draw", `${soon}/room`, "#draw"],
        ["history", `${path}/history`, ".events tbody"],
        ["lookup", "/ops/lookup", "#find-seat"],
        ["nobody", "/ops/lookup?q=nobody", ".notice"],
        ["nothing", "/ops/schedules/nothing", ".notice"],
        ["nowhere", "/ops/elsewhere", "h1"],
      ];
      for (const [place, address, sign] of places) {
        await page.goto(address);
        await who.see(sign);
        await who.isAccessible(`${place} at ${width}`);
        await who.shoot(`${name}-${place}`);
      }
      await page.goto(`${path}/seats`);
      await page.locator("#choose-row").click();
      await page.locator(".choice button").nth(1).click();
      await who.see("#scrub-at");
      await page.locator(".sections button").first().click();
      await page.locator("[role=gridcell]").first().click();
      await who.see(".seat-history .empty");
      await who.isAccessible(`the past of ${id} at ${width}`);
      await who.shoot(`${name}-past`);
      await who.leave();
    });
  }
}

/** Has a page be told of a cluster. */
const tells = (page, document) =>
  page.route("**/api/v1/admin/cluster", (route) => route.fulfill({ contentType: "application/json", body: JSON.stringify(document()) }));

test("the nodes of a cluster are shown where there is one, with who serves and how each is", async () => {
  const alone = await comes("admin");
  await alone.see(".figures");
  assert.equal(await alone.page.locator('nav a[href="/ops/nodes"]').count(), 0, "a process alone has none to show");
  await alone.page.goto("/ops/nodes");
  await alone.page.getByText("This process is alone").waitFor();
  await alone.leave();

  const member = (node, more) => ({ node, address: `http://${node}:8080`, version: "0.1.0", isAlive: true, isDraining: false, role: "standby", ...more });
  let owner = "one";
  const document = () => ({
    mode: "cluster",
    me: "two",
    owner,
    epoch: 7,
    members: [member("one", { role: owner === "one" ? "owner" : "standby" }), member("two", { isDraining: true }), member("three", { isAlive: false })],
  });
  for (const [locale, words] of [
    ["en-US", ["Nodes", "serves", "shows this page", "hands over", "silent", "No node has the log just now"]],
    ["ko-KR", ["노드", "처리 중", "이 페이지를 보여 주는 노드", "넘기는 중", "응답 없음", "지금은 로그를 맡은 노드가 없습니다"]],
  ]) {
    owner = "one";
    const who = await comes("admin", { locale });
    const { page } = who;
    await tells(page, document);
    await page.reload();
    await page.locator('nav a[href="/ops/nodes"]', { hasText: words[0] }).click();
    await who.see(".nodes .list tbody tr");
    const lines = await page.locator(".nodes tbody tr").allInnerTexts();
    assert.equal(lines.length, 3);
    assert.ok(lines[0].includes("one") && lines[0].includes(words[1]), lines[0]);
    assert.ok(lines[1].includes(words[2]) && lines[1].includes(words[3]), lines[1]);
    assert.ok(lines[2].includes(words[4]) && lines[2].includes("http://three:8080"), lines[2]);
    await who.isAccessible(`the nodes in ${locale}`);
    await who.shoot(`ops-nodes-${locale.slice(0, 2)}`);
    owner = null;
    await page.locator(".trouble", { hasText: words[5] }).waitFor();
    await who.leave();
  }

  const operator = await comes("operator");
  await operator.see(".figures");
  assert.equal(await operator.page.locator('nav a[href="/ops/nodes"]').count(), 0, "administrators alone may see them");
  await operator.leave();
});

test("the operations page can be read at 400 %, and without colours of its own", async () => {
  const { page: path } = await sale("zoomed", { queue: { maxActive: 2 } });
  const who = await comes("admin", { width: 320, height: 256, forcedColors: "active", reducedMotion: "reduce" });
  for (const [place, sign] of [
    ["/ops", ".list"],
    [path, ".grades"],
    [`${path}/seats`, ".map canvas"],
    [`${path}/room`, "#set-pace"],
    [`${path}/history`, ".events"],
    ["/ops/lookup", "#find-seat"],
  ]) {
    await who.page.goto(place);
    await who.see(sign);
    await who.fits(`${place} at 400 %`);
  }
  await who.leave();
});
