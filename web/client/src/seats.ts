// A seat map by its plan and two bits a seat: what a hall of any size is read as.
import type { Client } from "./connect.js";
import { isRefusal, type Refusal, type Schemas } from "./refusal.js";

/** The statuses by their numbers in a vector. */
export const STATUSES = ["available", "held", "reserved", "blocked"] as const satisfies Schemas["SeatStatus"][];

/** The seats of a schedule, of one instant. */
export interface SeatsThen {
  /** The map's version: a stream's changes up to it are in it. */
  version: number;
  plan: Schemas["SeatPlan"];
  /** The number of each seat's status in [`STATUSES`], in the order of `plan.seats`. */
  statuses: Uint8Array;
  /** The areas without numbered seats, with their places by status; none in most halls. */
  areas: Schemas["MapArea"][];
}

/** Unpacks two bits for each seat. */
export function statusesOf(text: string, count: number): Uint8Array {
  const bytes = atob(text);
  return Uint8Array.from({ length: count }, (_, seat) => (bytes.charCodeAt(seat >> 2) >> (2 * (seat & 3))) & 3);
}

/** Reads a schedule's seats. Who knows the `planId` already, as from the schedule, waits for one answer less. */
export async function readSeats({ api, ask }: Client, scheduleId: string, planId?: string | null): Promise<SeatsThen | Refusal> {
  const readPlan = (planId: string) => ask(api.GET("/api/v1/plans/{planId}", { params: { path: { planId } } }));
  const params = { path: { scheduleId }, query: { shape: "vector" } } as const;
  const [known, map] = await Promise.all([
    planId ? readPlan(planId) : null,
    ask(api.GET("/api/v1/schedules/{scheduleId}/seats", { params })),
  ]);
  if (isRefusal(map)) return map;
  if (!("statuses" in map)) throw new TypeError("a map in the shape that was asked for");

  // The plan may have changed since the schedule was read; the vector says of which it is.
  const plan = known === null || isRefusal(known) || known.planId !== map.planId ? await readPlan(map.planId) : known;
  if (isRefusal(plan)) return plan;
  return { version: map.version, plan, statuses: statusesOf(map.statuses, plan.seats.length), areas: map.areas ?? [] };
}
