// The API, as its description types it. An answer is a value or a `Refusal`; nothing is thrown.
import { signal } from "@preact/signals";
import createClient, { type Middleware } from "openapi-fetch";
import { learn } from "./clock";
import { keyOf, settled } from "./keys";
import type { components, paths } from "./schema";
import { become, session } from "./session";

export type Schemas = components["schemas"];
export type Reservation = Schemas["Reservation"];
export type Schedule = Schemas["Schedule"];
export type Concert = Schemas["Concert"];
export type Payment = Schemas["Payment"];
export type Place = Schemas["QueuePlace"];

/** Why the API didn't do what it was asked. `code` is the problem's, or `offline` where no answer came. */
export interface Refusal {
  refused: true;
  code: string;
  /** The problem's members beyond its text: `seats`, `currentBalance` and others. */
  problem: Partial<Schemas["Problem"]>;
  retryAfterSeconds: number | null;
}

export function isRefusal(answer: unknown): answer is Refusal {
  return typeof answer === "object" && answer !== null && "refused" in answer;
}

/** Whether the last request had an answer, and the machine has a network. */
export const isOnline = signal(navigator.onLine);
addEventListener("offline", () => (isOnline.value = false));
addEventListener("online", () => (isOnline.value = true));

/** How long one request may take. The server answers sooner, or not at all. */
const TIMEOUT_MS = 20_000;

/** The fetch of every request: bounded in time, and it reads the server's clock. */
async function timed(request: Request): Promise<Response> {
  const askedAt = Date.now();
  const response = await fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]) });
  learn(response.headers.get("date"), askedAt, Date.now());
  isOnline.value = true;
  return response;
}

const withToken: Middleware = {
  onRequest({ request }) {
    if (session.value) request.headers.set("authorization", `Bearer ${session.value.accessToken}`);
    return request;
  },
};

/** The typed client: `api.GET("/api/v1/concerts")`. Give its answer to [`ask`] or [`change`]. */
export const api = createClient<paths>({ fetch: timed });
api.use(withToken);

type Answer<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

function refusal(code: string, problem: Refusal["problem"] = {}, retryAfter: string | null = null): Refusal {
  return { refused: true, code, problem, retryAfterSeconds: retryAfter === null ? null : Number(retryAfter) };
}

/** Waits for an answer, and makes a refusal of everything but success. */
export async function ask<T>(answer: Answer<T>): Promise<T | Refusal> {
  try {
    const { data, error, response } = await answer;
    if (response.ok) return data as T;
    const problem = (typeof error === "object" && error !== null ? error : {}) as Refusal["problem"];
    const code = problem.code ?? (response.status >= 500 ? "internal" : "malformed_request");
    // The token is over, or its secret isn't the server's any more: whoever goes on signs in again.
    if (code === "token_expired" || code === "unauthenticated") become(null);
    return refusal(code, problem, response.headers.get("retry-after"));
  } catch {
    isOnline.value = false;
    return refusal("offline");
  }
}

/** Whether an answer leaves open what happened, so that the same change is sent again. */
function isOpen(answer: unknown): answer is Refusal {
  return isRefusal(answer) && ["offline", "outcome_unknown", "overloaded", "request_in_progress", "internal"].includes(answer.code);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The waits before a change is sent again, in milliseconds. */
const AGAIN_MS = [400, 1_000, 2_000, 4_000];

/**
 * Sends a change under its idempotency key until its outcome is known, or for some seconds. `name` says which change it is: its key survives
 * a reload, so that the reader may go on later. `send` gets the header.
 */
export async function change<T>(name: string, body: unknown, send: (headers: { "Idempotency-Key": string }) => Answer<T>): Promise<T | Refusal> {
  const headers = { "Idempotency-Key": keyOf(name, body) };
  let answer = await ask(send(headers));
  for (const wait of AGAIN_MS) {
    if (!isOpen(answer)) break;
    await sleep(Math.max(wait, (answer.retryAfterSeconds ?? 0) * 1000) * (0.75 + Math.random() / 2));
    answer = await ask(send(headers));
  }
  if (!isOpen(answer)) settled(name);
  return answer;
}

/** What this server's pages are told beside the API. */
export interface PageSettings {
  checkoutUrl: string | null;
  demoFans: boolean;
  demoOperators: boolean;
  signsIn: boolean;
  sendsMail: boolean;
  selfCharge: boolean;
  chargeMin: number;
  chargeMax: number;
}

/** Reads a document that isn't of the API. */
export async function document<T>(path: string, body?: unknown): Promise<T | Refusal> {
  const init = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = async () => {
    const response = await timed(new Request(path, init));
    const value: unknown = await response.json();
    return response.ok ? { data: value as T, response } : { error: value, response };
  };
  return ask<T>(answer());
}
