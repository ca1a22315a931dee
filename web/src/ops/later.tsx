// The phases, codes and the counter as a script of their own: who watches a sale doesn't need them first.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { refusalFor } from "../base/api";
import { later } from "../base/later";
import { Loading } from "../base/ui";
import { Refused } from "./refusal";
import { t } from "./texts";

const { parts, isLost, load } = later(() => import("./selling"));

/** Shows one of them once it is there. */
export function Later(props: { part: (parts: typeof import("./selling")) => JSX.Element }) {
  useEffect(() => void load(), []);
  if (parts.value) return props.part(parts.value);
  if (isLost.value) return <Refused refusal={refusalFor("offline")} again={() => location.reload()} />;
  return <Loading label={t.value.loading} />;
}
