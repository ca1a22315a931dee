// What a refusal says to a fan, and where to go from it.
import type { ComponentChildren } from "preact";
import type { Refusal } from "../base/api";
import { Button, Notice } from "../base/ui";
import { t } from "./texts";

/** Returns the sentence for a refusal. */
export function sentence(refusal: Refusal): string {
  const { refusals, refusedBy } = t.value;
  const words = refusals[refusal.code as keyof typeof refusals] ?? refusals.internal;
  if (refusal.code === "payment_declined" && refusal.problem.reason) return `${words} ${refusedBy(refusal.problem.reason)}`;
  return words;
}

/** Shows a refusal, with a button to try again or what the page offers instead. */
export function Refused(props: { refusal: Refusal; text?: string | undefined; again?: () => void; children?: ComponentChildren }) {
  const { refusal, again } = props;
  const actions = props.children ?? (again && <Button onClick={again}>{t.value.tryAgain}</Button>);
  return <Notice actions={actions}>{props.text ?? sentence(refusal)}</Notice>;
}
