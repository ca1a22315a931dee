// What the tests of the pages share: a demonstration of their own, fans in browsers, and sales that are made for one test.
import { spawn } from "node:child_process";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** How long something on a page may take to be seen. The machine may be busy. */
const PATIENCE_MS = 20_000;

export class World {
  static async start() {
    const world = new World();
    world.folder = mkdtempSync(join(tmpdir(), "onsale-pages-"));
    const arguments_ = [
      "serve",
      "--demo",
      "--listen",
      "127.0.0.1:0",
      "--data-dir",
      join(world.folder, "data"),
      "--journal-reserve-bytes",
      "0",
    ];
    world.server = spawn(process.env.PROGRAM, arguments_, { stdio: ["ignore", "pipe", "ignore"] });
    for await (const line of createInterface({ input: world.server.stdout })) {
      world.base ??= /shop\s+(http:\S+)\/$/.exec(line)?.[1];
      world.admin ??= /ADMIN='([^']+)'/.exec(line)?.[1];
      if (line.startsWith("Stop it with")) break;
    }
    assert.ok(world.base && world.admin, "the demonstration starts and says where it is");
    world.server.stdout.resume();
    world.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      // A container has neither user namespaces nor much shared memory.
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    });
    return world;
  }

  async stop() {
    await this.browser?.close();
    if (this.server?.exitCode === null) {
      const ended = new Promise((resolve) => this.server.once("exit", resolve));
      this.server.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Calls the API as its administrator. */
  async call(method, path, body) {
    const headers = { authorization: `Bearer ${this.admin}`, ...(body ? { "content-type": "application/json" } : {}) };
    const response = await fetch(`${this.base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Makes a sale that is open, of the demonstration's theatre. Returns the path of its page. */
  async sale(name, policy = {}, more = {}) {
    const at = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
    const body = {
      concertId: "perf-phantom-1",
      startsAt: at(20),
      endsAt: at(20.1),
      salesOpenAt: at(-1),
      policy: { holdSeconds: 300, ...policy },
      ...more,
    };
    await this.call("PUT", `/schedules/test-${name}`, body);
    return `/schedules/test-${name}`;
  }

  /** Opens a browser window for somebody who hasn't been here. */
  async visitor(options = {}) {
    const { width = 1440, height = 900, locale = "en-US", ...rest } = options;
    const context = await this.browser.newContext({ viewport: { width, height }, locale, baseURL: this.base, ...rest });
    context.setDefaultTimeout(PATIENCE_MS);
    const visitor = new Visitor(context, await context.newPage());
    visitor.watch(visitor.page);
    return visitor;
  }

  /** The same, signed in by the demonstration's one click. */
  async fan(options) {
    const fan = await this.visitor(options);
    await fan.page.goto("/");
    await fan.page.locator(".top .button").click();
    await fan.page.locator(".demo-fan button").click();
    await fan.page.locator('.top a[href="/account"]').waitFor();
    return fan;
  }
}

export class Visitor {
  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.complaints = [];
  }

  /** Writes down what the browser complains of. A refusal of the API is an answer, and no complaint. */
  watch(page) {
    page.on("console", (message) => {
      const isRefusal =
        /Failed to load resource: the server responded with a status of (4\d\d|503)/.test(message.text()) ||
        /net::ERR_(INTERNET_DISCONNECTED|FAILED|ABORTED)/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isRefusal) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.stack ?? error.message));
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.complaints, [], "the browser complains of nothing");
  }

  see(selector) {
    return this.page.locator(selector).first().waitFor();
  }

  /** Chooses a seat in the list, which everyone can. */
  async chooseSeat(section, label) {
    const { page } = this;
    if ((await page.locator("[role=grid]").count()) === 0) await page.locator(".sections button", { hasText: section }).click();
    await page.locator(`[role=gridcell][aria-label^="${label},"]`).click();
  }

  /** Pays what is held, from a balance that is charged with what is missing. */
  async payFromBalance() {
    const { page } = this;
    await page.locator("#charge").click();
    await page.locator("#pay-now:not([aria-disabled])").click();
    await page.locator(".reservation.confirmed").waitFor();
  }

  /** Presses Tab until a selector has the focus. */
  async tabTo(selector, most = 120) {
    for (let presses = 0; presses < most; presses++) {
      await this.page.keyboard.press("Tab");
      if (await this.page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
    }
    assert.fail(`Tab doesn't come to ${selector}`);
  }

  /** The page has no barrier that a program finds, and nothing to scroll sideways. */
  async isAccessible(what) {
    await this.page.evaluate(axe);
    // A colour that is on its way to another is neither.
    await this.page.evaluate(() => {
      const ends = document.getAnimations().filter(({ effect }) => Number.isFinite(effect?.getComputedTiming().endTime));
      return Promise.allSettled(ends.map(({ finished }) => finished));
    });
    const { violations } = await this.page.evaluate(() => {
      const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      return window.axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] });
    });
    const found = violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`,
    );
    assert.deepEqual(found, [], `${what} has no barriers`);
    await this.fits(what);
  }

  async fits(what) {
    const beyond = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(beyond, 0, `${what} doesn't scroll sideways`);
  }

  async shoot(name) {
    if (!process.env.SHOTS) return;
    mkdirSync(process.env.SHOTS, { recursive: true });
    await this.page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
  }
}
