// What a refusal says to an operator.
import type { ComponentChildren } from "preact";
import type { Refusal } from "../base/api";
import { Button, Notice } from "../base/ui";
import { t } from "./texts";

/** Returns the sentence for a refusal, with the seats and fields that it names. */
export function sentence(refusal: Refusal): string {
  const { refusals, refusedSeats } = t.value;
  const words = (refusals as Record<string, string>)[refusal.code] ?? refusals.internal;
  const { seats, areas, errors } = refusal.problem;
  if (seats?.length) return `${words} ${refusedSeats(seats.slice(0, 12).join(", "), Math.max(0, seats.length - 12))}`;
  if (areas?.length) return `${words} (${areas.map(({ areaId, available }) => t.value.areaLeft(areaId, available)).join(", ")})`;
  if (errors?.length) return `${words} (${errors.map(({ field, detail }) => `${field}: ${detail}`).join("; ")})`;
  return words;
}

/** What is so however often it is asked for. */
const FINAL = ["not_found", "unknown_seat", "not_retained", "no_waiting_room"];

export function Refused(props: { refusal: Refusal; again?: () => void; children?: ComponentChildren }) {
  const { again } = FINAL.includes(props.refusal.code) ? {} : props;
  const actions = props.children ?? (again && <Button onClick={again}>{t.value.tryAgain}</Button>);
  return <Notice actions={actions}>{sentence(props.refusal)}</Notice>;
}
