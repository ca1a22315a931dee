// What the tests of the pages share: browsers and fans in them, at a demonstration of their own.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Demonstration } from "./demonstration.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** How long something on a page may take to be seen. The machine may be busy. */
const PATIENCE_MS = 20_000;

export class World extends Demonstration {
  static async start() {
    const world = await super.start();
    world.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      // A container has neither user namespaces nor much shared memory.
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    });
    return world;
  }

  async stop() {
    await this.browser?.close();
    await super.stop();
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
