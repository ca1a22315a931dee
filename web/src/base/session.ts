// Who has signed in, in every tab of this browser.
import { signal } from "@preact/signals";
import { keep, kept } from "./store";

/** A token and whose it is. */
export interface Session {
  accessToken: string;
  /** RFC 3339. */
  expiresAt: string;
  userId: string;
  /** How the page calls them; their id where it is empty. */
  name: string;
}

/** A page has a session of its own: who runs sales isn't who buys. */
let place = "session";

/** The session; null for a visitor. */
export const session = signal<Session | null>(null);

/** Reads the session of a page, and follows what other tabs do. */
export function openSession(name: string): void {
  place = name;
  const read = () => {
    const found = kept<Session>(place);
    session.value = found && Date.parse(found.expiresAt) > Date.now() ? found : null;
  };
  read();
  addEventListener("storage", (event) => {
    if (event.key === null || event.key === `onsale.${place}`) read();
  });
}

/** Signs in, or out with null. */
export function become(who: Session | null): void {
  keep(place, who);
  session.value = who;
}
