// The API, as its description types it. An answer is a value or a `Refusal`; only a stream throws.
import createClient, { type Client as Routes } from "openapi-fetch";
import { Clock } from "./clock.js";
import { inMemory, Keys, type KeyStore } from "./keys.js";
import { isOpen, type Refusal, refusalOf } from "./refusal.js";
import type { paths } from "./schema.js";
import { follow, type StreamEvent, type StreamOptions } from "./stream.js";

/** A text, or a function that is asked for it before each request. */
export type Told = string | null | undefined | (() => string | null | undefined);

export const said = (told: Told) => (typeof told === "function" ? told() : told);

export interface Options {
  /** Where the server is: `https://tickets.example`. A page's own server by default. */
  url?: string;
  /** The bearer token; a visitor has none. */
  token?: Told;
  /** Where the keys of changes under way are kept; in memory by default. */
  keys?: KeyStore;
  clock?: Clock;
  /** How long one request may take, 20 s by default. The server answers sooner, or not at all. */
  timeoutMs?: number;
  /** Told of each answer that came (true) or didn't (false). */
  onLine?: (there: boolean) => void;
  /** Told of each refusal, as of a token that is over. */
  onRefusal?: (refusal: Refusal) => void;
  /** Waits before a request is sent again; a test may not want to. */
  wait?: (ms: number) => Promise<unknown>;
}

/** What `api` gives. */
export type Answer<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

export interface Client {
  /** The typed routes: `api.GET("/api/v1/concerts")`. Give their answers to `ask` or `change`. */
  api: Routes<paths>;
  /** Where the server is, without a slash at the end; empty for a page's own server. */
  url: string;
  clock: Clock;

  /** Waits for an answer. One that is given as a function is asked for again, for some seconds, where that may help. */
  ask<T>(answer: Answer<T> | (() => Answer<T>)): Promise<T | Refusal>;

  /**
   * Sends a change under its idempotency key until its outcome is known, or for some seconds. `name` says which change it is, in all that this
   * client does (`pay.<order>`): while the outcome isn't known, the same name and body have the same key. `send` gets the header and the body.
   */
  change<T, Body>(name: string, body: Body, send: (headers: { "Idempotency-Key": string }, body: Body) => Answer<T>): Promise<T | Refusal>;

  /** Yields the events of a stream as they are. */
  stream(path: string, options?: StreamOptions & { headers?: () => Record<string, string> }): AsyncGenerator<StreamEvent, void, undefined>;

  /** Fetches what isn't of the API: bounded in time, and it reads the server's clock. */
  fetch(request: Request): Promise<Response>;
}

const TIMEOUT_MS = 20_000;

/** The waits before a request is sent again, in milliseconds. */
const AGAIN_MS = [400, 1_000, 2_000, 4_000];

/** A server that wants more time than this isn't waited for: its refusal is the answer. */
const PATIENCE_SECONDS = 10;

/** Makes a client. It opens nothing by itself, and has nothing to close. */
export function connect(options: Options = {}): Client {
  const { clock = new Clock(), timeoutMs = TIMEOUT_MS, onLine, onRefusal } = options;
  const keys = new Keys(options.keys ?? inMemory());
  const { wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)) } = options;
  const url = (options.url ?? "").replace(/\/$/, "");
  if (url === "" && !globalThis.location) throw new TypeError("outside a page a client needs the server's `url`");
  const bearer = (): Record<string, string> => {
    const token = said(options.token);
    return token ? { authorization: `Bearer ${token}` } : {};
  };

  async function clocked(ask: () => Promise<Response>): Promise<Response> {
    const askedAt = Date.now();
    const response = await ask();
    clock.learn(response.headers.get("date"), askedAt, Date.now());
    return response;
  }

  const timed = async (request: Request): Promise<Response> => {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]);
    const response = await clocked(() => fetch(request, { signal }));
    onLine?.(true);
    return response;
  };

  const api = createClient<paths>({
    baseUrl: url,
    fetch(request) {
      for (const [name, value] of Object.entries(bearer())) request.headers.set(name, value);
      return timed(request);
    },
  });

  async function once<T>(answer: Answer<T>): Promise<T | Refusal> {
    let refusal: Refusal;
    try {
      const { data, error, response } = await answer;
      if (response.ok) return data as T;
      refusal = refusalOf(response, error);
    } catch (cause) {
      onLine?.(false);
      refusal = { refused: true, code: "offline", problem: {}, retryAfterSeconds: null, cause };
    }
    onRefusal?.(refusal);
    return refusal;
  }

  async function again<T>(send: () => Answer<T>): Promise<T | Refusal> {
    let answer = await once(send());
    for (const least of AGAIN_MS) {
      if (!isOpen(answer)) break;
      const asked = answer.retryAfterSeconds ?? 0;
      if (asked > PATIENCE_SECONDS) break;
      // Spread, so that not everybody comes back at once; never before the server wants it.
      await wait(asked * 1000 + least * (0.75 + Math.random() / 2));
      answer = await once(send());
    }
    return answer;
  }

  const stream: Client["stream"] = (path, { headers, ...options } = {}) =>
    follow((lastId, signal) => {
      const sent = { accept: "text/event-stream", ...bearer(), ...headers?.(), ...(lastId === null ? {} : { "last-event-id": lastId }) };
      return clocked(() => fetch(url + path, { headers: sent, signal, cache: "no-store" }));
    }, options);

  return {
    api,
    url,
    clock,
    stream,
    fetch: timed,
    ask: (answer) => (typeof answer === "function" ? again(answer) : once(answer)),

    async change(name, body, send) {
      const key = await keys.of(name, body);
      const answer = await again(() => send({ "Idempotency-Key": key }, body));
      if (!isOpen(answer)) await keys.settled(name, key);
      return answer;
    },
  };
}
