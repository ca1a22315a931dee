// The pages behind a hold, as a script of their own: it is loaded while the reader still chooses, so that the seats come first.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { refusalFor } from "../base/api";
import { Loading } from "../base/ui";
import { Refused } from "./refusal";
import { t } from "./texts";

type Tickets = typeof import("./tickets");

const tickets = signal<Tickets | null>(null);
const isLost = signal(false);

/** Loads them. A server that was renewed meanwhile has others: then the page is to be loaded again. */
export async function loadTickets(): Promise<void> {
  if (tickets.value) return;
  try {
    tickets.value = await import("./tickets");
  } catch {
    isLost.value = true;
  }
}

/** Shows one of them once it is there. */
export function Later(props: { page: (pages: Tickets) => JSX.Element }) {
  useEffect(() => void loadTickets(), []);
  if (tickets.value) return props.page(tickets.value);
  if (isLost.value) return <Refused refusal={refusalFor("offline")} again={() => location.reload()} />;
  return <Loading label={t.value.loading} />;
}
