// Server-sent events, followed until nobody wants them: a stream that ends, stalls or loses its line is opened again.
//
// `EventSource` sends no headers and doesn't notice a line that fell silent, as after a suspended machine; this does both.
import { learn } from "./clock";

export interface Event {
  name: string;
  data: string;
}

/** What became of a stream. */
export interface Follower {
  /** The headers of each request, asked for anew. */
  headers?: () => Record<string, string>;
  on(event: Event): void;
  /** The line is there (true) or lost (false). */
  onLine?(there: boolean): void;
  /** The server refuses the stream with a status of 4xx; it isn't asked again. */
  onRefused?(status: number): void;
}

/** The server sends a sign of life each 15 s: after this time without any the line is dead. */
const SILENCE_MS = 40_000;
const AGAIN_MS_MIN = 1_000;
const AGAIN_MS_MAX = 15_000;

/** Follows a stream until the function that is returned is called. */
export function follow(path: string, follower: Follower): () => void {
  let ended = false;
  let lastId: string | null = null;
  let retryMs = AGAIN_MS_MIN;
  let failures = 0;
  let line: AbortController | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastByteAt = Date.now();

  const again = (soon = false) => {
    clearTimeout(timer);
    if (ended) return;
    // Spread, so that not everybody comes back at once.
    const wait = Math.min(AGAIN_MS_MAX, retryMs * 2 ** failures) * (0.5 + Math.random() / 2);
    timer = setTimeout(open, soon ? 0 : wait);
  };

  async function open(): Promise<void> {
    line?.abort();
    const own = (line = new AbortController());
    const askedAt = (lastByteAt = Date.now());
    try {
      const headers = { ...follower.headers?.(), accept: "text/event-stream", ...(lastId === null ? {} : { "last-event-id": lastId }) };
      const response = await fetch(path, { headers, signal: own.signal, cache: "no-store" });
      learn(response.headers.get("date"), askedAt, Date.now());
      if (response.status >= 400 && response.status < 500 && response.status !== 429 && response.status !== 408) {
        ended = true;
        return follower.onRefused?.(response.status);
      }
      if (!response.ok || !response.body) throw new Error("no stream");
      failures = 0;
      follower.onLine?.(true);
      await read(response.body, own);
    } catch {
      // Whatever it was, the stream is opened again.
    }
    if (ended || line !== own) return;
    failures += 1;
    follower.onLine?.(false);
    again();
  }

  async function read(body: ReadableStream<Uint8Array>, own: AbortController): Promise<void> {
    const reader = body.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>).getReader();
    let rest = "";
    let event = { name: "message", data: "", id: null as string | null };
    for (;;) {
      const { done, value } = await reader.read();
      if (done || own.signal.aborted) return;
      lastByteAt = Date.now();
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const text of lines) {
        const [, field, content] = /^([^:]*)(?:: ?(.*))?$/s.exec(text.replace(/\r$/, "")) ?? [];
        if (field === "event") event.name = content ?? "";
        else if (field === "data") event.data += (event.data && "\n") + (content ?? "");
        else if (field === "id") event.id = content ?? "";
        else if (field === "retry") retryMs = Number(content) || retryMs;
        else if (text === "" || text === "\r") {
          if (event.id !== null) lastId = event.id;
          if (event.data !== "" && !ended) follower.on({ name: event.name, data: event.data });
          event = { name: "message", data: "", id: null };
        }
      }
    }
  }

  // Timers sleep with the machine: after it wakes, the line has been silent for long.
  const watch = setInterval(() => {
    if (line && Date.now() - lastByteAt > SILENCE_MS) {
      follower.onLine?.(false);
      void open();
    }
  }, 5_000);
  const soon = () => {
    if (failures > 0) again(true);
  };
  addEventListener("online", soon);
  globalThis.document.addEventListener("visibilitychange", soon);

  void open();
  return () => {
    ended = true;
    clearTimeout(timer);
    clearInterval(watch);
    removeEventListener("online", soon);
    globalThis.document.removeEventListener("visibilitychange", soon);
    line?.abort();
  };
}
