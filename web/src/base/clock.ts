// The server's clock, and a signal that ticks with it.
//
// An answer's `Date` has whole seconds: the server's instant lies in the second that it names. Each answer so bounds how far this
// machine's clock is off, and many answers bound it to some milliseconds. A deadline on a page is always the server's.
import { signal } from "@preact/signals";

/** The bounds of what is added to this machine's clock, in milliseconds. */
let low = -Infinity;
let high = Infinity;

/** Learns from an answer: when it was asked for and when it came, by this machine's clock. */
export function learn(date: string | null, askedAt: number, cameAt: number): void {
  const second = date === null ? NaN : Date.parse(date);
  if (Number.isNaN(second)) return;
  const [newLow, newHigh] = [second - cameAt, second + 1000 - askedAt];
  // No overlap: one of the clocks was set, or this machine was suspended. What was known is of before.
  if (newLow > high || newHigh < low) [low, high] = [newLow, newHigh];
  else [low, high] = [Math.max(low, newLow), Math.min(high, newHigh)];
}

/** The instant by the server's clock, in milliseconds since 1970. */
export function serverNow(): number {
  return Date.now() + (Number.isFinite(low) ? (low + high) / 2 : 0);
}

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
