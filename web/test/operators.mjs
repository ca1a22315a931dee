// What the tests of the operations page share: those who run sales, and those who buy meanwhile.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { World } from "./world.mjs";

export class OpsWorld extends World {
  /** A token of a role, as the page says how to get one. */
  token(user, role) {
    const { stdout } = spawnSync(process.env.PROGRAM, ["token", "--demo", "--data-dir", join(this.folder, "data"), "--user", user, "--role", role]);
    return stdout.toString().trim();
  }

  /** Somebody who has signed in by pasting a token. */
  async comes(role = "admin", options = {}) {
    const who = await this.visitor(options);
    await who.page.goto("/ops");
    await pastes(who, this.token(`${role}-ann`, role));
    await who.see(".figures");
    return who;
  }

  /** Somebody who buys, by the API. */
  async buyer() {
    const response = await fetch(`${this.base}/demo/sessions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"role":"user"}',
    });
    const { accessToken, userId } = await response.json();
    const call = (method, path, body, key) => this.call(method, path, body, { token: accessToken, key });
    const hold = (scheduleId, seats, more = {}) => call("POST", "/reservations", { scheduleId, ...(seats ? { seats } : {}), ...more });
    const buy = async (scheduleId, seats, more) => {
      const held = await hold(scheduleId, seats, more);
      await call("POST", `/users/${userId}/balance`, { amount: 1_000_000 });
      await call("POST", "/payments", { reservationId: held.reservationId, method: "balance" }, held.reservationId);
      return held;
    };
    return { userId, call, hold, buy };
  }

  /** A sale, and its page for those who run it. */
  async opsSale(name, ...more) {
    const path = await this.sale(`ops-${name}`, ...more);
    return { id: `test-ops-${name}`, page: `/ops${path}` };
  }

  async seatsOf(id, status) {
    return (await this.call("GET", `/schedules/${id}/seats?status=${status}`)).seats.map(({ seatId }) => seatId);
  }
}

export async function pastes(who, text) {
  await who.page.locator("input[name=token]").fill(text);
  await who.page.locator("#sign-in").click();
}
