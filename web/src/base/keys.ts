// Idempotency keys: a change that was begun keeps its key until its outcome is known, also across a reload. So a repeat, by the page or by its
// reader, finds out what happened and does nothing twice.
import { keep, kept, names } from "./store";

interface Begun {
  key: string;
  /** The body, whose change is another change. */
  body: string;
  at: number;
}

/** How long the server keeps a key at most. */
const LIFE_MS = 24 * 3_600_000;

/** Returns the key of a change: the one that it was begun with, or a new one. */
export function keyOf(change: string, body: unknown): string {
  const name = `key.${change}`;
  const text = JSON.stringify(body ?? null);
  const begun = kept<Begun>(name);
  if (begun && begun.body === text && Date.now() - begun.at < LIFE_MS) return begun.key;
  const key = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
  keep(name, { key, body: text, at: Date.now() } satisfies Begun);
  return key;
}

/** Forgets a change whose outcome is known. */
export function settled(change: string): void {
  keep(`key.${change}`, null);
}

/** Forgets the changes that are too old to be asked about. */
export function forgetOld(): void {
  for (const name of names("key.")) {
    const begun = kept<Begun>(name);
    if (!begun || Date.now() - begun.at >= LIFE_MS) keep(name, null);
  }
}
