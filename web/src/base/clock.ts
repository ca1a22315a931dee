// The server's clock, and a signal that ticks with it. A deadline on a page is always the server's.
import { signal } from "@preact/signals";
import { Clock } from "@onsale/client";

export const clock = new Clock();

/** The instant by the server's clock, in milliseconds since 1970. */
export const serverNow = () => clock.now();

/** The server's instant, each second anew. */
export const now = signal(serverNow());

function tick(): void {
  now.value = serverNow();
  // Right after a second of the server begins, so that a countdown changes as its deadline comes.
  setTimeout(tick, 1000 - (serverNow() % 1000) + 5);
}
tick();
// A timer sleeps with the machine, and slows down in a hidden tab.
document.addEventListener("visibilitychange", () => (now.value = serverNow()));

/** The whole seconds until an instant: 0 from the instant on. */
export function secondsUntil(at: string, from = now.value): number {
  return Math.max(0, Math.ceil((Date.parse(at) - from) / 1000));
}
