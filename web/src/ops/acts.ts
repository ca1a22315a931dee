// Changes of a sale and its waiting room, and their receipts: who did it and when, as the journal has it.
import { signal } from "@preact/signals";
import { api, ask, change, isRefusal, type Refusal, type Reservation, type Schedule, type Schemas } from "../base/api";
import { announce } from "../base/live";
import { readFeed } from "./feed";
import { instant } from "./parts";
import { t } from "./texts";
import { look, overview } from "./watch";
import { may } from "./who";

export type Room = Schemas["WaitingRoom"];
type HistoryItem = Schemas["HistoryItem"];

/** What was done last, by schedule. */
export interface Receipt {
  scheduleId: string;
  words: string;
  /** As the journal has it; null where the token may not read it. */
  by: { who: string; at: string; position: number } | null;
}
export const receipt = signal<Receipt | null>(null);

export type Code = Schemas["AccessCode"];
export type CodeTerms = Schemas["CodePut"];
export type Allotment = Schemas["Allotment"];
/** What of a schedule an administrator says. */
export type Plan = Pick<Schedule, "concertId" | "startsAt" | "endsAt" | "salesOpenAt" | "salesCloseAt" | "casting" | "policy">;

type Kind =
  | "SalesOpened"
  | "SalesClosed"
  | "ScheduleCancelled"
  | "SeatsBlocked"
  | "SeatsUnblocked"
  | "CodePut"
  | "CodesMade"
  | "CodeEnded"
  | "AllotmentSet"
  | "Ordered"
  | "AllotmentReleased"
  | "Replanned";

const who = (data: Record<string, unknown>) => String(data.adminId ?? data.by ?? "");

/** Reads who did something after a position, and when. */
async function written(type: Kind | "RoomTuned", scheduleId: string, since: number): Promise<Receipt["by"]> {
  if (may("follow")) {
    // In a busy sale the newest events of its history are others' already.
    let found: Receipt["by"] = null;
    const end = new AbortController();
    const limit = setTimeout(() => end.abort(), 8_000);
    await readFeed({
      after: since,
      until: position(),
      subject: `schedules/${scheduleId}${type === "RoomTuned" ? "/queue" : ""}`,
      signal: end.signal,
      on(event) {
        if (event.type === type) found = { who: who(event.data), at: event.time, position: event.position };
      },
    });
    clearTimeout(limit);
    return found;
  }
  if (type === "RoomTuned") return null;
  const params = { path: { scheduleId }, query: { limit: 1000 } };
  const history = await ask(api.GET("/api/v1/admin/schedules/{scheduleId}/history", { params }));
  if (isRefusal(history)) return null;
  const own = history.items.find((item: HistoryItem) => item.type === type && item.position > since);
  return own ? { who: who(own.data as Record<string, unknown>), at: own.at, position: own.position } : null;
}

function show(scheduleId: string, words: string, by: Receipt["by"]): void {
  receipt.value = { scheduleId, words, by };
  announce(by ? t.value.doneBy(words, by.who, instant(by.at)) : words);
}

const position = () => overview.value?.journal.position ?? 0;

async function done(type: Parameters<typeof written>[0], scheduleId: string, words: string, since: number): Promise<void> {
  await look();
  show(scheduleId, words, await written(type, scheduleId, since));
}

/** Opens, closes or cancels a sale. */
export async function setSale(act: "open" | "close" | "cancel", scheduleId: string): Promise<Schedule | Refusal> {
  const since = position();
  const path = { scheduleId };
  const answer = await change(`ops.${act}.${scheduleId}`, null, (header) => {
    const params = { params: { path, header } };
    if (act === "open") return api.POST("/api/v1/schedules/{scheduleId}/open", params);
    if (act === "close") return api.POST("/api/v1/schedules/{scheduleId}/close", params);
    return api.POST("/api/v1/schedules/{scheduleId}/cancel", params);
  });
  const kinds = { open: "SalesOpened", close: "SalesClosed", cancel: "ScheduleCancelled" } as const;
  if (!isRefusal(answer)) await done(kinds[act], scheduleId, t.value.did[act], since);
  return answer;
}

/** Changes a schedule's times or policy as they stand at the server now: somebody else may have changed them meanwhile. */
export async function replan(scheduleId: string, change: (plan: Plan) => Plan, words: string): Promise<Schedule | Refusal> {
  const since = position();
  const params = { path: { scheduleId } };
  const before = await ask(api.GET("/api/v1/schedules/{scheduleId}", { params }));
  if (isRefusal(before)) return before;
  const { concertId, startsAt, endsAt, salesOpenAt, salesCloseAt, casting, policy } = before;
  const body = change({ concertId, startsAt, endsAt, salesOpenAt, salesCloseAt, casting, policy });
  const answer = await ask(() => api.PUT("/api/v1/schedules/{scheduleId}", { params, body }));
  if (!isRefusal(answer)) await done("Replanned", scheduleId, words, since);
  return answer;
}

/** Takes seats off sale, or puts them back. */
export async function setSeats(act: "block" | "unblock", scheduleId: string, seats: string[]): Promise<Schedule | Refusal> {
  const since = position();
  const path = { scheduleId };
  const body = { seats };
  const answer = await change(`ops.${act}.${scheduleId}`, body, (header) => {
    const params = { params: { path, header }, body };
    return act === "block" ? api.POST("/api/v1/schedules/{scheduleId}/block", params) : api.POST("/api/v1/schedules/{scheduleId}/unblock", params);
  });
  if (!isRefusal(answer)) await done(act === "block" ? "SeatsBlocked" : "SeatsUnblocked", scheduleId, t.value.did[act](seats.length), since);
  return answer;
}

/** Changes a waiting room while it runs. */
export async function tune(scheduleId: string, body: Schemas["TuneBody"], words: string): Promise<Room | Refusal> {
  const since = position();
  const answer = await change(`ops.tune.${scheduleId}`, body, (header) =>
    api.PATCH("/api/v1/schedules/{scheduleId}/queue", { params: { path: { scheduleId }, header }, body }),
  );
  if (!isRefusal(answer)) await done("RoomTuned", scheduleId, words, since);
  return answer;
}

/** Defines a code, or defines it anew. */
export async function putCode(scheduleId: string, code: string, body: CodeTerms): Promise<Code | Refusal> {
  const since = position();
  const params = { path: { scheduleId, code } };
  // The same twice is the same once: it needs no key.
  const answer = await ask(() => api.PUT("/api/v1/schedules/{scheduleId}/codes/{code}", { params, body }));
  if (!isRefusal(answer)) await done("CodePut", scheduleId, t.value.did.putCode(answer.code), since);
  return answer;
}

/** Generates codes, and returns them. */
export async function makeCodes(scheduleId: string, body: Schemas["MakeBody"]): Promise<string[] | Refusal> {
  const since = position();
  const answer = await change(`ops.codes.${scheduleId}`, body, (header) =>
    api.POST("/api/v1/schedules/{scheduleId}/codes", { params: { path: { scheduleId }, header }, body }),
  );
  if (isRefusal(answer)) return answer;
  await done("CodesMade", scheduleId, t.value.did.makeCodes(answer.codes.length), since);
  return answer.codes;
}

/** Ends a code for new holds. */
export async function endCode(scheduleId: string, code: string): Promise<void | Refusal> {
  const since = position();
  const answer = await change(`ops.end.${scheduleId}.${code}`, null, (header) =>
    api.DELETE("/api/v1/schedules/{scheduleId}/codes/{code}", { params: { path: { scheduleId, code }, header } }),
  );
  if (isRefusal(answer)) return answer;
  await done("CodeEnded", scheduleId, t.value.did.endCode(code), since);
}

/** Sets an allotment: all of it, as it is to be. `words` say what was done. */
export async function setAllotment(
  scheduleId: string,
  allotmentId: string,
  body: Schemas["AllotmentPut"],
  words: string,
): Promise<Allotment | Refusal> {
  const since = position();
  const params = { path: { scheduleId, allotmentId } };
  const answer = await ask(() => api.PUT("/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", { params, body }));
  if (!isRefusal(answer)) await done("AllotmentSet", scheduleId, words, since);
  return answer;
}

/** Gives what is left of an allotment to everyone. */
export async function releaseAllotment(scheduleId: string, { allotmentId, name }: Allotment): Promise<void | Refusal> {
  const since = position();
  const answer = await change(`ops.release.${scheduleId}.${allotmentId}`, null, (header) =>
    api.DELETE("/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", { params: { path: { scheduleId, allotmentId }, header } }),
  );
  if (isRefusal(answer)) return answer;
  await done("AllotmentReleased", scheduleId, t.value.did.release(name), since);
}

/** Sells at the box office. Whoever sells alone sees no journal: the answer is the receipt. */
export async function sell(scheduleId: string, body: Schemas["OrderBody"]): Promise<Reservation | Refusal> {
  const since = position();
  const answer = await change(`ops.order.${scheduleId}`, body, (header) =>
    api.POST("/api/v1/schedules/{scheduleId}/orders", { params: { path: { scheduleId }, header }, body }),
  );
  if (isRefusal(answer)) return answer;
  const words = t.value.did.sell(answer.reservationId);
  if (may("watch")) await done("Ordered", scheduleId, words, since);
  else announce(words);
  return answer;
}
