// A demonstration of the tests' own: `serve --demo` on a free port, and sales that are made for one test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

export class Demonstration {
  static async start() {
    const world = new this();
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
    return world;
  }

  async stop() {
    if (this.server?.exitCode === null) {
      const ended = new Promise((resolve) => this.server.once("exit", resolve));
      this.server.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Calls the API, as its administrator if no other token is given. */
  async call(method, path, body, { token = this.admin, key } = {}) {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body ? { "content-type": "application/json" } : {}),
      ...(key ? { "idempotency-key": key } : {}),
    };
    const response = await fetch(`${this.base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Loads a source of the pages that needs no page. */
  async source(name) {
    const out = join(this.folder, `${name.replaceAll("/", "-")}.mjs`);
    await build({ entryPoints: [new URL(`../src/${name}.ts`, import.meta.url).pathname], bundle: true, format: "esm", outfile: out });
    return import(pathToFileURL(out).href);
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
}
