// The API, by the client that integrators have (`web/client`), with what a page adds: who has signed in, and whether the line is there.
import { signal } from "@preact/signals";
import { connect, type Refusal as ClientsRefusal, type RefusalCode, type Schemas } from "@onsale/client";
import { clock } from "./clock";
import { keys } from "./keys";
import { become, session } from "./session";

export { isRefusal, type Schemas } from "@onsale/client";
export type Reservation = Schemas["Reservation"];
export type Schedule = Schemas["Schedule"];
export type Concert = Schemas["Concert"];
export type Payment = Schemas["Payment"];
export type Place = Schemas["QueuePlace"];

/** Why something wasn't done. Pages have codes of their own, beside the API's. */
export type Refusal = ClientsRefusal<string>;

/** Why something wasn't done that the page itself knows. */
export const refusalFor = (code: string): Refusal => ({ refused: true, code, problem: {}, retryAfterSeconds: null });

/** Whether the last request had an answer, and the machine has a network. */
export const isOnline = signal(navigator.onLine);
addEventListener("offline", () => (isOnline.value = false));
addEventListener("online", () => (isOnline.value = true));

/** The token is over, or its secret isn't the server's any more: whoever goes on signs in again. */
const SIGNED_OUT: readonly string[] = ["token_expired", "unauthenticated"] satisfies RefusalCode[];

/** This page's client. */
export const client = connect({
  clock,
  keys,
  token: () => session.value?.accessToken,
  onLine: (there) => (isOnline.value = there),
  onRefusal: ({ code }) => {
    if (SIGNED_OUT.includes(code)) become(null);
  },
});
export const { ask, change } = client;

/** The routes, by the methods that `routes.ts` has. */
export const api: Pick<typeof client.api, "GET" | "POST" | "PUT" | "PATCH" | "DELETE"> = client.api;

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
    const response = await client.fetch(new Request(path, init));
    const value: unknown = await response.json();
    return response.ok ? { data: value as T, response } : { error: value, response };
  };
  return ask<T>(answer());
}
