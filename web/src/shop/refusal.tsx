// What a refusal says to a fan, and where to go from it.
import type { ComponentChildren } from "preact";
import type { Refusal, Schemas } from "../base/api";
import { Button, Notice } from "../base/ui";
import { t } from "./texts";

type Code = Schemas["Problem"]["code"];
type Said = keyof typeof t.value.refusals;

/** The codes that no step of a fan leads to: a page that gets one has a bug, and says so. */
type Bugs =
  | "malformed_request"
  | "bad_signature"
  | "method_not_allowed"
  | "not_retained"
  | "in_use"
  | "invalid_transition"
  | "body_too_large"
  | "headers_too_large"
  | "log_lost_data"
  | "unsupported_media_type"
  | "currency_mismatch";

/** Every other code has a sentence. A new one is an error here, until it has one, too. */
type Unsaid = Exclude<Code, Said | Bugs>;
const isAllSaid: [Unsaid] extends [never] ? true : Unsaid = true;

/** Returns the sentence for a refusal. */
export function sentence(refusal: Refusal): string {
  const { refusals, refusedBy } = t.value;
  const words = (isAllSaid && refusals[refusal.code as Said]) || refusals.internal;
  if (refusal.code === "payment_declined" && refusal.problem.reason) return `${words} ${refusedBy(refusal.problem.reason)}`;
  return words;
}

/** Shows a refusal, with a button to try again or what the page offers instead. */
export function Refused(props: {
  refusal: Refusal;
  text?: string | undefined;
  again?: () => void;
  children?: ComponentChildren;
}) {
  const { refusal, again } = props;
  const nextStep =
    refusal.code === "not_found" ? (
      <a class="button" href="/">
        {t.value.toShows}
      </a>
    ) : (
      again && <Button onClick={again}>{t.value.tryAgain}</Button>
    );
  const actions = props.children ?? nextStep;
  return <Notice actions={actions}>{props.text ?? sentence(refusal)}</Notice>;
}
