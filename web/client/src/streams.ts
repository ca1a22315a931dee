// The event streams of the API. Each goes on until it is left, its signal is aborted, or the server refuses it, which throws `Refused`.
import { type Client, said, type Told } from "./connect.js";
import { isRefusal, type Refusal, type Schemas } from "./refusal.js";
import type { StreamEvent, StreamOptions } from "./stream.js";

/** An event of the journal (CloudEvents 1.0). `docs/EVENTS.md` lists the types and their data. */
export interface FeedEvent {
  id: string;
  source: string;
  type: string;
  subject: string;
  time: string;
  /** Where it stands in the journal: what a consumer keeps. */
  position: number;
  data: Record<string, unknown>;
}

/** A change of a seat map. A snapshot has every seat that isn't available; a delta has the seats that changed. */
export type SeatChange = { kind: "snapshot" | "delta" } & Schemas["SeatChanges"];

/** A change of a place in a waiting room. */
export type PlaceChange =
  | ({ kind: "position" } & Schemas["QueuePosition"])
  | ({ kind: "active" } & Schemas["QueuePlace"])
  | ({ kind: "ended" } & Schemas["QueueEnd"]);

/** Yields the events of the journal behind a position, or from the oldest that is kept; for an administrator, an auditor, or the role `feed`. */
export async function* feed(
  client: Client,
  { after, ...options }: StreamOptions & { after?: number | undefined } = {},
): AsyncGenerator<FeedEvent, void, undefined> {
  const path = `/api/v1/events${after === undefined ? "" : `?after=${after}`}`;
  for await (const { data } of client.stream(path, options)) yield JSON.parse(data) as FeedEvent;
}

/** Yields the changes of a schedule's seats. After a lost line it goes on where it was, or with a new snapshot. */
export function seatChanges(client: Client, scheduleId: string, options?: StreamOptions): AsyncGenerator<SeatChange, void, undefined> {
  return kinds(["snapshot", "delta"], client.stream(`/api/v1/schedules/${encodeURIComponent(scheduleId)}/seats/events`, options));
}

/** Yields the changes of a place in a waiting room. */
export function placeChanges(
  client: Client,
  scheduleId: string,
  pass: Told,
  options?: StreamOptions,
): AsyncGenerator<PlaceChange, void, undefined> {
  const path = `/api/v1/queue/tokens/current/events?scheduleId=${encodeURIComponent(scheduleId)}`;
  const headers = () => ({ "queue-token": said(pass) ?? "" });
  return kinds(["position", "active", "ended"], client.stream(path, { ...options, headers }));
}

/** Yields the events of some names: a newer server may have others, too. */
async function* kinds<Change extends { kind: string }>(
  names: Change["kind"][],
  events: AsyncIterable<StreamEvent>,
): AsyncGenerator<Change, void, undefined> {
  for await (const { name, data } of events) if (names.includes(name)) yield { kind: name, ...JSON.parse(data) } as Change;
}

/** Returns the address of a stream with a ticket, which opens it once within 30 s: for an `EventSource`, which sends no headers. */
export async function ticketed({ api, ask, url }: Client, path: string, pass?: string): Promise<string | Refusal> {
  const params = { header: pass === undefined ? {} : { "Queue-Token": pass } };
  const taken = await ask(() => api.POST("/api/v1/streams/tickets", { params }));
  return isRefusal(taken) ? taken : `${url}${path}${path.includes("?") ? "&" : "?"}ticket=${taken.ticket}`;
}
