// How long a fan waits for the first seat map on a slow phone and a slow line, and how smooth a large map is while its seats change.
import { cpus } from "node:os";
import { World } from "./world.mjs";

const RUNS = Number(process.env.RUNS ?? 5);
/** How much slower than this machine's the phone's processor is. */
const SLOWER = 6;
/** Lines as Lighthouse and WebPageTest name them: bits a second down and up, and the round trip in milliseconds. */
const LINES = {
  "slow 4G": { down: 1_600_000, up: 750_000, roundTrip: 150 },
  "slow 3G": { down: 400_000, up: 400_000, roundTrip: 400 },
};
/** The changes a second of the large hall, and how long its frames are counted. */
const CHANGES_PER_SECOND = 200;
const FRAMES_SECONDS = 10;
/** A user may make 20 changes a second. */
const FANS = 20;

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const quantile = (numbers, part) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))];

/** Runs in the page before its scripts: notes when the map's first picture is on the screen. */
function noteFirstMap() {
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...picture) {
    // The map's seats are drawn into a picture that isn't in the page, and that onto its canvas.
    if (!window.firstMapMs && this.canvas.closest(".map")) {
      window.firstMapMs = -1;
      // A message comes after the frame was made.
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port2.onmessage = () => (window.firstMapMs = performance.now());
        port1.postMessage(null);
      });
    }
    return draw.apply(this, picture);
  };
}

/** Makes a bowl of 50,000 seats: 2 tiers of 20 sections around a stage, with 50 rows of 25 seats each. */
async function makeBowl(world) {
  const [sections, rows, length, gap] = [20, 50, 25, 2];
  const round = (number) => Math.round(number * 100) / 100;
  const grades = ["VIP", "R", "S", "A", "B"];
  const sectionOf = (tier, index) => {
    const inner = ((length + gap) * sections) / ((300 / 180) * Math.PI);
    const angle = ((index + 0.5) / sections - 0.5) * ((300 / 180) * Math.PI);
    const [outX, outY] = [Math.sin(angle), Math.cos(angle)];
    const rowOf = (row) => {
      const out = inner + (tier * (rows + 4) + row) * 1.2;
      const first = { x: outX * out - outY * (length / 2), y: outY * out + outX * (length / 2) };
      return {
        rowId: String(row + 1),
        grade: grades[Math.min(grades.length - 1, Math.floor((tier * rows + row) / 20))],
        length,
        at: [round(first.x), round(first.y)],
        step: [round(outY), round(-outX)],
      };
    };
    return { sectionId: String(index + 1), floor: `${tier + 1}F`, rows: Array.from({ length: rows }, (_, row) => rowOf(row)) };
  };
  const body = {
    name: "Bowl",
    timeZone: "Asia/Seoul",
    stage: { outline: [[-40, -20], [40, -20], [40, 20], [-40, 20]] },
    sections: [0, 1].flatMap((tier) => Array.from({ length: sections }, (_, index) => sectionOf(tier, index))),
  };
  await world.call("PUT", "/venues/bowl", body);
  const priced = grades.map((grade, index) => ({ grade, price: 170_000 - 20_000 * index, color: ["#C0392B", "#8E44AD", "#2E6DA4", "#1E8449", "#B7950B"][index] }));
  await world.call("PUT", "/concerts/bowl", { title: "Bowl", artist: "Measured", venueId: "bowl", currency: "KRW", grades: priced });
}

/** Opens a sale's page on a slow machine and line. Returns the milliseconds to the first map, and the bytes that came until then. */
async function visit(page, path, line) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: line.roundTrip,
    downloadThroughput: line.down / 8,
    uploadThroughput: line.up / 8,
  });
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  let bytes = 0;
  devtools.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));

  await page.goto(path, { waitUntil: "commit", timeout: 120_000 });
  await page.waitForFunction(() => window.firstMapMs > 0, null, { timeout: 120_000 });
  const [ms, came] = [await page.evaluate(() => window.firstMapMs), bytes];
  if (process.env.WATERFALL) {
    const entries = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name, startTime, responseEnd, transferSize }) => [name, startTime, responseEnd, transferSize]));
    for (const [name, from, to, size] of entries) console.error(`${from.toFixed(0).padStart(6)} ${to.toFixed(0).padStart(6)} ${String(size).padStart(8)} ${new URL(name).pathname}`);
  }
  await devtools.detach();
  return { ms, bytes: came };
}

async function firstMaps(world, halls) {
  console.log(`\nFirst map, processor ${SLOWER} times slower, median of ${RUNS} visits\n`);
  console.log("| hall | line | cold | bytes | warm | bytes |\n| --- | --- | --- | --- | --- | --- |");
  for (const [hall, path] of Object.entries(halls)) {
    for (const [name, line] of Object.entries(LINES)) {
      const visits = { cold: [], warm: [] };
      for (let run = 0; run < RUNS; run++) {
        const visitor = await world.visitor({ width: 390, height: 844, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
        await visitor.context.addInitScript(noteFirstMap);
        for (const kind of ["cold", "warm"]) {
          visits[kind].push(await visit(visitor.page, path, line));
          await visitor.page.goto("about:blank");
        }
        await visitor.context.close();
      }
      const cells = Object.values(visits).flatMap((all) => [
        `${(median(all.map(({ ms }) => ms)) / 1000).toFixed(1)} s`,
        median(all.map(({ bytes }) => bytes)).toLocaleString("en"),
      ]);
      console.log(`| ${hall} | ${name} | ${cells.join(" | ")} |`);
    }
  }
}

/** Holds seats and gives them back at an even pace, until it is stopped. */
async function changeSeats(world, scheduleId) {
  const signIn = async () => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"role":"user"}' };
    return (await (await fetch(`${world.base}/demo/sessions`, init)).json()).accessToken;
  };
  const tokens = await Promise.all(Array.from({ length: FANS }, signIn));
  const call = (token, method, path, body) =>
    fetch(`${world.base}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { "content-type": "application/json" } : {}) },
      body: body && JSON.stringify(body),
    });
  let changes = 0;
  const isDone = { value: false };
  const one = async (token, index) => {
    for (let turn = 0; !isDone.value; turn++) {
      const began = performance.now();
      const seat = `1F-${(index % 20) + 1}-${(turn % 50) + 1}-${(turn % 25) + 1}`;
      const held = await call(token, "POST", "/reservations", { scheduleId, seats: [seat] });
      if (held.ok) {
        const { reservationId } = await held.json();
        const back = await call(token, "DELETE", `/reservations/${reservationId}`);
        changes += back.ok ? 2 : 1;
      }
      const pause = (2_000 * FANS) / CHANGES_PER_SECOND - (performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, pause)));
    }
  };
  const all = Promise.all(tokens.map(one));
  const stop = async () => {
    isDone.value = true;
    await all;
  };
  return { stop, count: () => changes };
}

/** The times between frames while the map is dragged about or left alone, in milliseconds. */
const framesOf = (page, isDragged) =>
  page.evaluate(
    async ([isDragged, seconds]) => {
      const canvas = document.querySelector(".map canvas");
      const box = canvas.getBoundingClientRect();
      const point = (type, x, y) =>
        canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, pointerType: "touch", clientX: box.x + x, clientY: box.y + y, bubbles: true }));
      canvas.setPointerCapture = () => {};
      const [middleX, middleY] = [box.width / 2, box.height / 2];
      if (isDragged) point("pointerdown", middleX, middleY);
      const times = [];
      let before = await new Promise(requestAnimationFrame);
      const end = before + seconds * 1000;
      while (before < end) {
        if (isDragged) point("pointermove", middleX + 80 * Math.sin(before / 300), middleY + 80 * Math.cos(before / 400));
        const now = await new Promise(requestAnimationFrame);
        times.push(now - before);
        before = now;
      }
      if (isDragged) point("pointerup", middleX, middleY);
      return times;
    },
    [isDragged, FRAMES_SECONDS],
  );

async function frames(world, path, scheduleId) {
  console.log(`\nFrames of the map of 50,000 seats while ${CHANGES_PER_SECOND} of them change in a second, ${FRAMES_SECONDS} s each\n`);
  console.log("| window | map | seats change | median | 95 % within | longest | frames a second |\n| --- | --- | --- | --- | --- | --- | --- |");
  for (const [width, height] of [
    [1440, 900],
    [390, 844],
  ]) {
    const visitor = await world.visitor({ width, height });
    const { page } = visitor;
    await page.goto(path);
    await page.locator(".map canvas").waitFor();
    for (const [where, nearer] of [
      ["whole, at rest", 0],
      ["whole, dragged", 0],
      ["near, dragged", 6],
    ]) {
      for (let step = 0; step < nearer; step++) {
        await page.locator(".map-tools button").first().click();
        await page.waitForTimeout(300);
      }
      const crowd = await changeSeats(world, scheduleId);
      const [began, before] = [performance.now(), crowd.count()];
      const times = await framesOf(page, where.endsWith("dragged"));
      const rate = (crowd.count() - before) / ((performance.now() - began) / 1000);
      await crowd.stop();
      const ms = (number) => `${number.toFixed(0)} ms`;
      const figures = [ms(median(times)), ms(quantile(times, 0.95)), ms(Math.max(...times)), (times.length / FRAMES_SECONDS).toFixed(0)];
      console.log(`| ${width} × ${height} | ${where} | ${rate.toFixed(0)} a second | ${figures.join(" | ")} |`);
    }
    await visitor.context.close();
  }
}

const world = await World.start();
try {
  await makeBowl(world);
  const theatre = await world.sale("theatre");
  const bowl = await world.sale("bowl", {}, { concertId: "bowl" });
  console.log(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${await world.browser.version()}`);
  const parts = (process.env.PARTS ?? "first,frames").split(",");
  if (parts.includes("first")) await firstMaps(world, { "1,210 seats": theatre, "50,000 seats": bowl });
  if (parts.includes("frames")) await frames(world, bowl, "test-bowl");
} finally {
  await world.stop();
}
