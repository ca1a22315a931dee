// Server-sent events, followed until nobody wants them: a stream that ends, stalls or loses its line is opened again behind the last event.
//
// `EventSource` sends no headers and doesn't notice a line that fell silent, as after a suspended machine; this does both.
import { Refused, refusalOf } from "./refusal.js";

export interface StreamEvent {
  name: string;
  data: string;
  id: string | null;
}

export interface StreamOptions {
  /** Ends the stream when it is aborted. */
  signal?: AbortSignal | undefined;
  /** The line is there (true) or lost (false). */
  onLine?: ((there: boolean) => void) | undefined;
}

/** The server sends a sign of life each 15 s: after this time without any the line is dead. */
const SILENCE_MS = 40_000;
const AGAIN_MS_MIN = 1_000;
const AGAIN_MS_MAX = 15_000;

/** Opens a stream behind an event, or at its beginning. */
type Open = (lastId: string | null, signal: AbortSignal) => Promise<Response>;

/**
 * Yields a stream's events. It throws [`Refused`] where the server refuses the stream (4xx); everything else is tried again.
 */
export async function* follow(open: Open, options: StreamOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
  const { signal, onLine } = options;
  const state: State = { lastId: null, retryMs: AGAIN_MS_MIN };
  let failures = 0;

  while (!signal?.aborted) {
    const line = new Line(signal);
    try {
      const response = await open(state.lastId, line.signal);
      if (response.status >= 400 && response.status < 500 && response.status !== 429 && response.status !== 408) {
        const body: unknown = await response.json().catch(() => null);
        throw new Refused(refusalOf(response, body));
      }
      if (!response.ok || !response.body) throw new Error("no stream");
      failures = 0;
      onLine?.(true);
      yield* events(response.body, line, state);
    } catch (error) {
      if (error instanceof Refused) throw error;
      // Whatever else it was, the stream is opened again.
    } finally {
      line.end();
    }
    if (signal?.aborted) return;

    onLine?.(false);
    failures += 1;
    // Spread, so that not everybody comes back at once. A line that fell silent has waited enough.
    const wait = Math.min(AGAIN_MS_MAX, state.retryMs * 2 ** failures) * (0.5 + Math.random() / 2);
    if (!line.wasSilent) await pause(wait, signal);
  }
}

interface State {
  lastId: string | null;
  retryMs: number;
}

/** One connection, which ends when it has been silent for too long. */
class Line {
  wasSilent = false;
  private readonly own = new AbortController();
  private readonly abort = () => this.own.abort();
  /** Since when something is awaited; null while the reader deals with what came. */
  private waitingSince: number | null = Date.now();
  // Timers sleep with the machine: after it wakes, the line has been silent for long.
  private readonly watch = setInterval(() => {
    this.wasSilent = this.waitingSince !== null && Date.now() - this.waitingSince > SILENCE_MS;
    if (this.wasSilent) this.abort();
  }, 5_000);

  constructor(private readonly outer: AbortSignal | undefined) {
    outer?.addEventListener("abort", this.abort);
  }

  get signal(): AbortSignal {
    return this.own.signal;
  }

  async waitFor<T>(what: Promise<T>): Promise<T> {
    this.waitingSince = Date.now();
    const came = await what;
    this.waitingSince = null;
    return came;
  }

  end(): void {
    clearInterval(this.watch);
    this.outer?.removeEventListener("abort", this.abort);
    this.abort();
  }
}

async function* events(body: ReadableStream<Uint8Array>, line: Line, state: State): AsyncGenerator<StreamEvent, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event: StreamEvent = { name: "message", data: "", id: null };
  for (;;) {
    const { done, value } = await line.waitFor(reader.read());
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const [, field, content = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(text.replace(/\r$/, "")) ?? [];
      if (field === "event") event.name = content;
      else if (field === "data") event.data += (event.data && "\n") + content;
      else if (field === "id") event.id = content;
      else if (field === "retry") state.retryMs = Number(content) || state.retryMs;
      else if (text === "" || text === "\r") {
        if (event.id !== null) state.lastId = event.id;
        if (event.data !== "" && !line.signal.aborted) yield event;
        event = { name: "message", data: "", id: null };
      }
    }
  }
}

/** Waits; less where a page is looked at again, or has its network back. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const wakers: [EventTarget | undefined, string][] = [
      [signal, "abort"],
      [globalThis.document, "visibilitychange"],
      // A program that isn't a page has no such events.
      ["addEventListener" in globalThis ? globalThis : undefined, "online"],
    ];
    const timer = setTimeout(wake, ms);
    for (const [target, name] of wakers) target?.addEventListener(name, wake);

    function wake(): void {
      clearTimeout(timer);
      for (const [target, name] of wakers) target?.removeEventListener(name, wake);
      resolve();
    }
  });
}
