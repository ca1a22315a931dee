// The README's picture: the shop's seat map as a fan sees it, and the same sale as its operator sees it, side by side.
//
// The crowd takes the same seats each time. What differs between two runs is the date of the show, and the times in the charts.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFewColours } from "./png.mjs";
import { World } from "./test/world.mjs";

const FILE = join(dirname(fileURLToPath(import.meta.url)), "../docs/picture.png");
const BYTES_MAX = 100_000;

const HEIGHT = 860;
const SHOP_WIDTH = 1040;
const OPS_WIDTH = 480;
const EDGE = 24;
/** How many people buy, each several times, and how many times in all. */
const FANS = 24;
const PURCHASES = 210;
const SALE = "test-picture";

/** The same numbers from 0 to 1 in each run (a Lehmer generator). */
function seeded(seed) {
  return () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/** Somebody who calls the API. */
async function fan(world) {
  const call = async (method, path, body, headers = {}) => {
    const init = { method, headers: { "content-type": "application/json", ...headers }, body: body && JSON.stringify(body) };
    const response = await fetch(`${world.base}${path}`, init);
    return response.ok ? response.json() : null;
  };
  const { accessToken, userId } = await call("POST", "/demo/sessions", { role: "user" });
  const authorization = `Bearer ${accessToken}`;
  const change = (path, body, key) => call("POST", `/api/v1${path}`, body, { authorization, ...(key ? { "idempotency-key": key } : {}) });
  return { userId, change };
}

/** Lets a crowd take seats: the nearer the stage, the sooner, with gaps as people leave them. One purchase in six isn't paid for yet. */
async function crowd(world) {
  const random = seeded(11);
  const { planId } = await world.call("GET", `/schedules/${SALE}`);
  const { seats } = await world.call("GET", `/plans/${planId}`);
  const taken = new Set();
  const fans = await Promise.all(Array.from({ length: FANS }, () => fan(world)));
  for (let purchase = 0; purchase < PURCHASES; purchase++) {
    const { userId, change } = fans[purchase % FANS];
    const first = Math.floor(random() ** 1.35 * seats.length);
    const wanted = seats.slice(first, first + 1 + Math.floor(random() * 4)).filter((seat) => seat.rowId === seats[first].rowId && seat.sectionId === seats[first].sectionId);
    const ids = wanted.map(({ seatId }) => seatId).filter((id) => !taken.has(id));
    if (ids.length === 0) continue;
    const held = await change("/reservations", { scheduleId: SALE, seats: ids });
    if (!held) continue;
    for (const id of ids) taken.add(id);
    if (purchase % 6 === 0) continue;
    await change(`/users/${userId}/balance`, { amount: 1_000_000 });
    await change("/payments", { reservationId: held.reservationId, method: "balance" }, held.reservationId);
  }
}

/** The page as one picture. */
const shot = (page) => page.screenshot({ animations: "disabled" });

async function shop(world) {
  const { page } = await world.fan({ width: SHOP_WIDTH, height: HEIGHT, colorScheme: "light" });
  await page.goto(`/schedules/${SALE}`);
  await page.locator(".sections button", { hasText: "1층 B" }).click();
  // Two beside each other, that are free in this pattern.
  for (const seat of await neighbours(page)) await page.locator(`[role=gridcell][data-seat="${seat}"]`).click();
  await page.getByRole("button", { name: "The whole hall" }).click();
  await page.locator(".back").click();
  await page.mouse.move(0, 0);
  await page.waitForTimeout(1_000);
  await page.evaluate(() => scrollTo(0, 0));
  return shot(page);
}

/** The first two free seats of the grid that stand beside each other, from its tenth row on. */
const neighbours = (page) =>
  page.evaluate(() => {
    for (const row of [...document.querySelectorAll(".grid-row")].slice(9)) {
      const cells = [...row.querySelectorAll("[role=gridcell]")].slice(8);
      const at = cells.findIndex((cell, index) => !cell.matches(".taken") && cells[index + 1] && !cells[index + 1].matches(".taken"));
      if (at >= 0) return [cells[at].dataset.seat, cells[at + 1].dataset.seat];
    }
    throw new Error("no two seats beside each other are free");
  });

async function operations(world, act) {
  const { page } = await world.visitor({ width: OPS_WIDTH, height: HEIGHT, colorScheme: "light" });
  await page.goto("/ops");
  await page.locator("#demo-operator").click();
  await page.locator(".figures").first().waitFor();
  await page.goto(`/ops/schedules/${SALE}`);
  await page.locator(".charts").waitFor();
  await act();
  await page.waitForTimeout(2_000);
  return shot(page);
}

/** Puts both beside each other, as two windows. */
async function compose(world, windows) {
  const { page } = await world.visitor({ width: SHOP_WIDTH + OPS_WIDTH + 3 * EDGE, height: HEIGHT + 2 * EDGE });
  const images = windows.map((png) => `<img src="data:image/png;base64,${png.toString("base64")}">`);
  const style = `body{margin:0;padding:${EDGE}px;display:flex;gap:${EDGE}px;background:#e9e5dc} img{border-radius:12px;outline:1px solid #cfcabd}`;
  await page.setContent(`<style>${style}</style>${images.join("")}`);
  return shot(page);
}

const world = await World.start();
try {
  await world.sale("picture", { maxSeatsPerUser: 100 });
  const right = await operations(world, () => crowd(world));
  const left = await shop(world);
  const png = withFewColours(await compose(world, [left, right]));
  if (png.length > BYTES_MAX) throw new Error(`the picture has ${png.length} bytes, and may have ${BYTES_MAX}`);
  writeFileSync(FILE, png);
  console.log(`docs/picture.png: ${png.length} bytes`);
} finally {
  await world.stop();
}
