// The storefront, as fans use it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { World } from "./world.mjs";

let world;
before(async () => {
  world = await World.start();
});
after(() => world?.stop());

test("of two fans who want one seat, one gets it and the other is offered the nearest", async () => {
  const sale = await world.sale("one-seat");
  const [ann, bob] = [await world.fan(), await world.fan()];
  for (const fan of [ann, bob]) {
    await fan.page.goto(sale);
    await fan.chooseSeat("1층 B", "Row 5, seat 12");
  }
  await ann.page.locator("#hold").click();
  await ann.see(".reservation.held .deadline");

  // Bob still looks at it: the map says so while he does, and offers another.
  await bob.see(".bar-space .notice");
  assert.match(await bob.page.locator(".bar-space .notice").innerText(), /quicker[\s\S]*row 5, seat 1[13]/);
  await bob.shoot("seat-gone");
  await bob.isAccessible("an offer of another seat");
  await bob.page.getByRole("button", { name: "Take this seat instead" }).click();
  await bob.page.locator("#hold").click();
  await bob.see(".reservation.held .deadline");
  assert.match(await bob.page.locator(".ticket").innerText(), /row 5, seat 1[13]/);
  await ann.leave();
  await bob.leave();
});

test("a fan whose map isn't live is told by the refusal which seat is gone", async () => {
  const sale = await world.sale("stale-map");
  const [ann, bob] = [await world.fan(), await world.fan()];
  await bob.page.route("**/seats/events", (route) => route.abort());
  for (const fan of [ann, bob]) {
    await fan.page.goto(sale);
    await fan.chooseSeat("1층 B", "Row 6, seat 12");
    await fan.chooseSeat("1층 B", "Row 6, seat 13");
  }
  await bob.see(".map-note");
  await ann.page.locator("#hold").click();
  await ann.see(".reservation.held .deadline");
  await bob.page.locator("#hold").click();
  await bob.page.getByRole("button", { name: "Take these seats instead" }).click();
  await bob.page.locator("#hold").click();
  await bob.see(".reservation.held .deadline");
  await ann.leave();
  await bob.leave();
});

test("from the waiting room to a ticket, across a reload and a lost line", async () => {
  const sale = await world.sale("room", { queue: { maxActive: 1, claimSeconds: 120 } });
  const [ann, bob] = [await world.fan(), await world.fan()];
  await ann.page.goto(sale);
  await ann.page.locator("#join").click();
  await ann.see(".choosing");

  await bob.page.goto(sale);
  await bob.page.locator("#join").click();
  await bob.see('.position[data-position="1"]');
  assert.match(await bob.page.locator(".line").innerText(), /You are next/);
  assert.match(await bob.page.locator(".left").innerText(), /VIP\s*240/);
  await bob.shoot("waiting");
  await bob.isAccessible("the waiting room");
  await bob.page.reload();
  await bob.see('.position[data-position="1"]');
  await bob.context.setOffline(true);
  await bob.see(".offline");
  await bob.context.setOffline(false);
  await bob.page.locator(".offline").waitFor({ state: "detached" });

  // Ann buys, which ends her turn, and Bob's page comes alive by itself.
  await ann.page.locator("#best-hold").click();
  await ann.see(".pay");
  await ann.payFromBalance();
  await bob.see(".choosing");
  assert.match(await bob.page.title(), /^Your turn/);
  await bob.page.locator("#best-hold").click();
  await bob.see(".pay");
  await bob.payFromBalance();
  await bob.shoot("ticket");
  await ann.leave();
  await bob.leave();
});

test("a draw is told as one, and its outcome comes by itself", async () => {
  const opensAt = new Date(Date.now() + 15_000).toISOString();
  const sale = await world.sale("draw", { queue: { maxActive: 1, order: "shuffle", opensAt } });
  const [ann, bob] = [await world.fan(), await world.fan()];
  for (const fan of [ann, bob]) {
    await fan.page.goto(sale);
    await fan.page.locator(".room-door", { hasText: "who came first has no advantage" }).waitFor();
    await fan.page.getByRole("button", { name: "Join the draw" }).click();
    await fan.page.locator(".line", { hasText: "You are in the draw." }).waitFor();
    assert.equal(await fan.page.locator(".line-bar, .position").count(), 0, "nobody has a place yet");
  }
  await ann.page.locator(".figures", { hasText: /People waiting\s*2\s*Opens at \d\d:\d\d, in\s*0:\d\d/ }).waitFor();
  await ann.isAccessible("a room before its draw");
  await ann.shoot("before-the-draw");
  // One of them is in, and the other next.
  for (const fan of [ann, bob]) await fan.see('.choosing, .position[data-position="1"]');
  const inside = await Promise.all([ann, bob].map((fan) => fan.page.locator(".choosing").count()));
  assert.deepEqual(inside.sort(), [0, 1]);
  await ann.leave();
  await bob.leave();
});

test("a payment that is declined is said, and the next one pays", async () => {
  const sale = await world.sale("declined");
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.page.locator("#best-hold").click();
  // Who turns back on the gateway's page can go there again.
  await fan.page.locator('input[value="card"]').click();
  await fan.page.locator("#pay-now").click();
  await fan.see('button[value="pay"]');
  await fan.page.goBack();
  await fan.see('#pay-now[aria-busy="false"]');
  for (const decision of ["decline", "pay"]) {
    await fan.page.locator('input[value="card"]').click();
    await fan.page.locator("#pay-now").click();
    await fan.page.locator(`button[value="${decision}"]`).click();
    if (decision === "decline") {
      await fan.see(".pay .notice.wrong");
      assert.match(await fan.page.locator(".pay .notice.wrong").innerText(), /still held/);
      assert.ok(await fan.page.locator('input[value="card"]').isChecked(), "the way to pay stays chosen");
      await fan.shoot("declined");
    }
  }
  await fan.see(".reservation.confirmed");
  assert.equal(new URL(fan.page.url()).search, "", "the key of the payment doesn't stay in the address");

  // It goes into a calendar as it is: the instants of the venue's, and its name.
  const [file] = await Promise.all([fan.page.waitForEvent("download"), fan.page.locator("#calendar").click()]);
  const { startsAt, endsAt } = await world.call("GET", "/schedules/test-declined");
  const [from, to] = [startsAt, endsAt].map((at) => at.replace(/[-:]|\.\d+/g, ""));
  assert.equal(file.suggestedFilename(), "ticket.ics");
  const entry = readFileSync(await file.path(), "utf8");
  for (const line of ["BEGIN:VEVENT", `DTSTART:${from}`, `DTEND:${to}`, "SUMMARY:오페라의 유령", "END:VEVENT"])
    assert.ok(entry.includes(`\r\n${line}\r\n`), line);
  assert.match(entry, /DESCRIPTION:1층 B\\, row 1\\, seat 12\\, 1층 B/);

  // What is cancelled and what comes back is said before, and comes back.
  await fan.page.locator("#cancel").click();
  assert.match(await fan.page.locator("dialog").innerText(), /오페라의 유령[\s\S]*2 seats[\s\S]*₩340,000 goes back to what you paid with/);
  await fan.isAccessible("the question before a cancellation");
  await fan.page.locator("#cancel-yes").click();
  await fan.see(".reservation.cancelled");
  await fan.page.getByText("₩340,000 was refunded").waitFor();
  await fan.leave();
});

test("a hold ends on the screen when it ends, and the seats are free again", async () => {
  const sale = await world.sale("expiry", { holdSeconds: 5 });
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.page.locator("#best-hold").click();
  await fan.see(".deadline");
  await fan.see(".reservation.expired");
  assert.match(await fan.page.locator(".reservation-main").innerText(), /Nothing was charged/);
  await fan.page.getByRole("link", { name: "Choose seats again" }).click();
  await fan.see(".choosing");
  await fan.leave();
});

test("a machine whose clock jumps, as after a sleep, counts by the server's clock", async () => {
  const sale = await world.sale("clock");
  const fan = await world.fan();
  await fan.page.clock.install();
  await fan.page.goto(sale);
  await fan.page.locator("#best-hold").click();
  await fan.see(".deadline");
  const asked = fan.page.waitForResponse((response) => response.url().includes("/api/v1/reservations/"));
  await Promise.all([asked, fan.page.clock.fastForward("01:00:00")]);
  // The hold was looked at anew, and is as good as it was.
  await fan.page.locator(".deadline strong", { hasText: /^[45]:/ }).waitFor();
  await fan.see(".pay");
  await fan.leave();
});

test("seats are exchanged in one step, and given back", async () => {
  const sale = await world.sale("exchange");
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.page.locator("#best-hold").click();
  await fan.page.getByRole("link", { name: "Change seats" }).click();
  await fan.see(".chips li");
  assert.equal(await fan.page.locator(".chips li").count(), 2, "the choice begins with the seats that are held");
  await fan.page.locator(".chips button").first().click();
  await fan.chooseSeat("1층 B", "Row 9, seat 3");
  await fan.page.locator("#hold").click();
  await fan.see(".reservation.held .deadline");
  assert.match(await fan.page.locator(".ticket").innerText(), /row 9, seat 3/);
  await fan.page.getByRole("button", { name: "Give the seats back" }).click();
  await fan.see(".choosing");
  await fan.leave();
});

test("what one tab does, the other shows", async () => {
  const sale = await world.sale("tabs");
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.page.locator("#best-hold").click();
  await fan.see(".pay");
  const other = await fan.context.newPage();
  fan.watch(other);
  await other.goto(fan.page.url());
  await other.locator(".pay").waitFor();
  await fan.payFromBalance();
  await other.locator(".reservation.confirmed").waitFor();
  await fan.leave();
});

test("an answer that is lost is found out, and nothing happens twice", async () => {
  const sale = await world.sale("lost-answer");
  const fan = await world.fan();
  await fan.page.goto(sale);
  await fan.see(".choosing");
  // The hold is made, and its answers don't arrive, until the page is loaded again.
  const keys = [];
  await fan.page.route("**/api/v1/reservations", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    keys.push(route.request().headers()["idempotency-key"]);
    await route.fetch();
    await route.abort();
  });
  await fan.chooseSeat("1층 B", "Row 4, seat 4");
  const lost = () => fan.page.waitForEvent("requestfailed");
  await Promise.all([lost(), fan.page.locator("#hold").click()]);
  await lost();
  await fan.page.unroute("**/api/v1/reservations");
  await fan.page.reload();
  await fan.page.getByRole("link", { name: "Go to payment" }).waitFor();
  const { seats } = await world.call("GET", "/schedules/test-lost-answer");
  assert.equal(seats.held, 1);
  assert.ok(keys.length >= 2 && new Set(keys).size === 1, "each try has the same key");
  await fan.leave();
});

test("a purchase by the keyboard alone", async () => {
  await world.sale("keyboard");
  const fan = await world.visitor();
  const { page } = fan;
  await page.goto("/");
  await fan.see('a[href="/shows/perf-phantom-1"]');
  await fan.tabTo('a[href="/shows/perf-phantom-1"]');
  await page.keyboard.press("Enter");
  await fan.see('a[href="/schedules/test-keyboard"]');
  await fan.tabTo('a[href="/schedules/test-keyboard"]');
  await page.keyboard.press("Enter");
  await fan.see(".sections");
  await fan.tabTo(".sections button");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await fan.see("[role=grid]");
  for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "Enter", "ArrowRight", " "]) await page.keyboard.press(key);
  assert.equal(await page.locator(".chips li").count(), 2);
  await fan.isAccessible("the grid of a section");
  await fan.tabTo("#hold");
  await page.keyboard.press("Enter");
  await fan.see(".demo-fan");
  await fan.tabTo(".demo-fan button");
  await page.keyboard.press("Enter");
  await fan.see(".pay");
  await fan.tabTo("#charge");
  await page.keyboard.press("Enter");
  await fan.see("#pay-now:not([aria-disabled])");
  await fan.tabTo("#pay-now");
  await page.keyboard.press("Enter");
  await fan.see(".reservation.confirmed");
  await fan.leave();
});

test("an account is made, and its owner comes back to it", async () => {
  const visitor = await world.visitor();
  const { page } = visitor;
  await page.goto("/");
  await page.locator(".top .button").click();
  await page.getByRole("button", { name: "I don't have an account yet" }).click();
  await page.getByRole("button", { name: "Create an account" }).click();
  await visitor.see(".field .wrong");
  assert.equal(await page.evaluate(() => document.activeElement?.name), "name", "the first field that is wrong has the focus");
  await visitor.isAccessible("a form with mistakes");
  for (const [name, text] of [
    ["name", "Ann"],
    ["email", "ann@example.org"],
    ["password", "correct horse battery"],
  ])
    await page.locator(`input[name=${name}]`).fill(text);
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.locator('.top a[href="/account"]', { hasText: "Ann" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator(".top .button").click();
  await page.locator("input[name=email]").fill("ann@example.org");
  await page.locator("input[name=password]").fill("not the password");
  await page.locator("dialog form button[type=submit]").click();
  await page.getByText("don't match").first().waitFor();
  await page.locator("input[name=password]").fill("correct horse battery");
  await page.locator("dialog form button[type=submit]").click();
  await page.locator('.top a[href="/account"]', { hasText: "Ann" }).waitFor();
  await visitor.leave();
});

for (const [width, height] of [
  [1440, 900],
  [390, 844],
]) {
  for (const [locale, colorScheme] of [
    ["ko-KR", "light"],
    ["en-US", "dark"],
  ]) {
    test(`pages have no barriers at ${width} pixels, ${locale}, ${colorScheme}`, async () => {
      const sale = await world.sale("looks");
      const room = await world.sale("looks-room", { queue: { maxActive: 1 } });
      const soon = await world.sale("looks-soon", {}, { salesOpenAt: new Date(Date.now() + 3_600_000).toISOString() });
      const fan = await world.fan({ width, height, locale, colorScheme });
      const { page } = fan;
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
      const name = `${width}-${locale.slice(0, 2)}`;
      const places = [
        ["home", "/", ".show-line .show-state strong"],
        ["show", "/shows/perf-phantom-1", ".date"],
        ["sale", sale, ".map canvas"],
        ["room", room, ".figures"],
        ["soon", soon, ".counting"],
        ["mine", "/reservations", ".notice, .mine-line"],
        ["account", "/account", ".charge"],
        ["nowhere", "/reservations/nothing", ".notice"],
      ];
      for (const [place, path, sign] of places) {
        await page.goto(path);
        await fan.see(sign);
        await fan.isAccessible(`${place} at ${width}`);
        await fan.shoot(`${name}-${place}`);
      }
      await page.goto(sale);
      if (width < 960) {
        // With all its buttons, a small map is still all there to be touched.
        await page.locator(".map-tools button").first().click();
        await page.locator(".map-tools button").nth(6).waitFor();
        const [map, tools] = [await page.locator(".map canvas").boundingBox(), await page.locator(".map-tools").boundingBox()];
        assert.ok(tools.y >= map.y + map.height - 1, "no button covers a seat");
      }
      await page.locator("#best-hold").click();
      await fan.see(".pay");
      await fan.isAccessible(`a hold at ${width}`);
      await fan.shoot(`${name}-hold`);
      await page.getByRole("button", { name: /Give the seats back|좌석 선택 취소/ }).click();
      await fan.see(".choosing");
      await fan.leave();
    });
  }
}

test("pages can be read at 400 %, and without colours of their own", async () => {
  const sale = await world.sale("zoomed");
  const fan = await world.fan({ width: 320, height: 256, forcedColors: "active", reducedMotion: "reduce" });
  for (const [path, sign] of [
    ["/", ".show-line"],
    ["/shows/perf-phantom-1", ".date"],
    [sale, ".map canvas"],
    ["/account", ".charge"],
  ]) {
    await fan.page.goto(path);
    await fan.see(sign);
    await fan.fits(`${path} at 400 %`);
    await fan.shoot(`zoomed-${path.split("/")[1] || "home"}`);
  }
  await fan.leave();
});

test("a calendar reads of a ticket's file what was written, whatever a show is called (RFC 5545)", async () => {
  const out = join(world.folder, "calendar.mjs");
  await build({ entryPoints: [new URL("../src/shop/calendar.ts", import.meta.url).pathname], bundle: true, format: "esm", outfile: out });
  const { calendarOf } = await import(pathToFileURL(out).href);
  const entry = {
    uid: "bvbt4dwsfddqm5o3myi5hnx3hv@tickets.example",
    stamp: "2026-11-28T01:02:03.456Z",
    startsAt: "2027-02-09T10:30:00.000Z",
    endsAt: "2027-02-09T13:10:00.000Z",
  };

  for (const words of [
    "Show",
    "a; b, c\\d \\n e\nf",
    "오페라의 유령, ".repeat(20),
    // A place at which a character of one, two, three and four bytes crosses the end of a line.
    ...[0, 1, 2, 3].flatMap((more) => ["a", "é", "유", "🎭"].map((letter) => "x".repeat(more) + letter.repeat(60))),
    "x".repeat(66),
    "x".repeat(67),
    "x".repeat(68),
    "",
  ]) {
    const file = calendarOf({ ...entry, title: words, place: words, text: words });
    assert.ok(file.endsWith("\r\n"), "the last line ends, too");
    const lines = file.slice(0, -2).split("\r\n");
    for (const line of lines) {
      const bytes = Buffer.byteLength(line);
      assert.ok(bytes > 0 && bytes <= 75 && !/[\r\n]/.test(line), `${bytes} bytes: ${line}`);
      assert.ok(line.isWellFormed?.() ?? true, "no character is divided");
    }

    // As a calendar reads it: lines are put together, names are divided from values, and escapes are undone.
    const read = file
      .replaceAll("\r\n ", "")
      .trimEnd()
      .split("\r\n")
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]);
    const undone = (value) => value.replace(/\\(.)/g, (_, letter) => (letter === "n" ? "\n" : letter));
    assert.deepEqual(
      read.map(([name, value]) => [name, undone(value)]),
      [
        ["BEGIN", "VCALENDAR"],
        ["VERSION", "2.0"],
        ["PRODID", "-//onsale//onsale//EN"],
        ["BEGIN", "VEVENT"],
        ["UID", entry.uid],
        ["DTSTAMP", "20261128T010203Z"],
        ["DTSTART", "20270209T103000Z"],
        ["DTEND", "20270209T131000Z"],
        ["SUMMARY", words],
        ["LOCATION", words],
        ["DESCRIPTION", words],
        ["END", "VEVENT"],
        ["END", "VCALENDAR"],
      ],
    );
    const divided = read.filter(([name]) => name === "SUMMARY").map(([, value]) => value.replace(/\\./g, ""));
    assert.ok(divided.every((value) => !/[,;]/.test(value)), "what divides values is escaped");
  }

  // What no text may have: a control character other than a line's end.
  assert.match(calendarOf({ ...entry, title: "a\u0007b\r\nc", place: "", text: "" }), /\r\nSUMMARY:ab\\nc\r\n/);
});
