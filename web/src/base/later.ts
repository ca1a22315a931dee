// Parts of a page that are a script of their own: what a reader needs first comes first.
import { type ReadonlySignal, signal } from "@preact/signals";

export interface Later<Parts> {
  /** Null until they are there. */
  parts: ReadonlySignal<Parts | null>;
  /** Whether they didn't come. A server that was renewed meanwhile has others: then the page is to be loaded again. */
  isLost: ReadonlySignal<boolean>;
  load: () => Promise<void>;
}

export function later<Parts>(read: () => Promise<Parts>): Later<Parts> {
  const parts = signal<Parts | null>(null);
  const isLost = signal(false);
  const load = async () => {
    if (parts.value) return;
    try {
      parts.value = await read();
    } catch {
      isLost.value = true;
    }
  };
  return { parts, isLost, load };
}
