// The pages behind a hold, the forms of who signs in, and what a code gives, as a script of their own: it is loaded while the reader still
// chooses, so that the seats come first.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { refusalFor } from "../base/api";
import { later } from "../base/later";
import { Loading } from "../base/ui";
import { Refused } from "./refusal";
import { t } from "./texts";

const { parts, isLost, load } = later(() => import("./tickets"));

export const loadTickets = load;
export const tickets = parts;

/** Shows one of them once it is there. */
export function Later(props: { page: (pages: typeof import("./tickets")) => JSX.Element }) {
  useEffect(() => void load(), []);
  if (parts.value) return props.page(parts.value);
  if (isLost.value) return <Refused refusal={refusalFor("offline")} again={() => location.reload()} />;
  return <Loading label={t.value.loading} />;
}
