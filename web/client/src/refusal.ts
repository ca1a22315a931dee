// Why the API didn't do what it was asked: a value, which callers can't overlook, or an error for those who want one.
import type { components } from "./schema.js";

export type Schemas = components["schemas"];

/** A problem's code, or `offline` where no answer came. A newer server may have codes that aren't listed. */
export type RefusalCode = Schemas["Problem"]["code"] | "offline";

export interface Refusal<Code extends string = RefusalCode> {
  refused: true;
  code: Code;
  /** The problem (RFC 9457) with the members of its code, such as `seats` and `currentBalance`. Empty where no answer came, else it has a `status`. */
  problem: Partial<Schemas["Problem"]>;
  /** When the server wants to be asked again. */
  retryAfterSeconds: number | null;
  /** With `offline`: what broke. */
  cause?: unknown;
}

export function isRefusal(answer: unknown): answer is Refusal<string> {
  return typeof answer === "object" && answer !== null && "refused" in answer;
}

/** A refusal as an error. */
export class Refused extends Error {
  override readonly name = "Refused";

  constructor(readonly refusal: Refusal) {
    super(`${refusal.code}: ${refusal.problem.detail ?? refusal.cause ?? "no answer"}`, { cause: refusal.cause });
  }
}

/** Returns an answer that is a value, and throws [`Refused`] for a refusal. */
export function orThrow<Answer>(answer: Answer): Exclude<Answer, Refusal<string>> {
  if (isRefusal(answer)) throw new Refused(answer as Refusal);
  return answer as Exclude<Answer, Refusal<string>>;
}

/** Makes a refusal of an answer that is no success. `body` is its document, or its text where it isn't JSON. */
export function refusalOf(response: Response, body: unknown): Refusal {
  const problem: Refusal["problem"] = { status: response.status, ...(typeof body === "object" ? body : {}) };
  const after = response.headers.get("retry-after");
  return {
    refused: true,
    // What stands between may answer, too, and knows no codes.
    code: problem.code ?? (response.status === 429 ? "rate_limited" : response.status >= 500 ? "internal" : "malformed_request"),
    problem,
    retryAfterSeconds: after !== null && Number.isFinite(Number(after)) ? Number(after) : null,
  };
}

/** The refusals that leave open what happened, or say that nothing did yet: the same request may be sent again. */
const OPEN: readonly string[] = [
  "offline",
  "internal",
  "outcome_unknown",
  "overloaded",
  "rate_limited",
  "not_ready",
  "request_timeout",
  "request_in_progress",
] satisfies RefusalCode[];

export function isOpen(answer: unknown): answer is Refusal {
  return isRefusal(answer) && OPEN.includes(answer.code);
}
