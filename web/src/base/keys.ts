// The idempotency keys of changes that were begun: kept until their outcome is known, also across a reload. So a repeat, by the page or by its
// reader, finds out what happened and does nothing twice.
import { isOver, type KeyStore } from "@onsale/client";
import { forget, keepText, keptText, names } from "./store";

/** Keeps them in this browser. */
export const keys: KeyStore = {
  get: (name) => keptText(`key.${name}`),
  set: (name, text) => keepText(`key.${name}`, text),
  delete: (name) => forget(`key.${name}`),
};

/** Forgets the changes that are too old to be asked about. */
export function forgetOld(): void {
  for (const name of names("key.")) if (isOver(keptText(name))) forget(name);
}
