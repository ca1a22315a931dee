// The seats of a schedule as they are now: the plan, each seat's status, and every change of it.
import { signal } from "@preact/signals";
import { api, ask, document as documentOf, isRefusal, type Refusal } from "../base/api";
import { follow } from "../base/stream";
import { type Outline, type Plan, planOf, sectionName } from "./plan";

/** A seat's status, as the vector shape numbers it. */
export const FREE = 0;
export const HELD = 1;
export const RESERVED = 2;
export const BLOCKED = 3;
const STATUS: Record<string, number> = { available: FREE, held: HELD, reserved: RESERVED, blocked: BLOCKED };

/** The least time between two tellings of what changed. */
const TELL_MS = 250;

/** The seats of one schedule, followed. */
export interface Seats {
  plan: Plan;
  /** A status by a seat's place in the plan. */
  status: Uint8Array;
  /** Counts up with each change of `status`. */
  version: { readonly value: number };
  /** Whether changes come in. */
  isLive: { readonly value: boolean };
  /** Calls back with the seats that changed; null for all. */
  onChange(listener: (changed: number[] | null) => void): () => void;
  /** Follows the changes from now on, until the function that is returned is called. */
  open(): () => void;
}

/** The plan of a venue, which never changes for its id. */
interface SeatPlan {
  planId: string;
  stage?: { outline: [number, number][] };
  sections: { sectionId: string; floor: string; outline?: [number, number][] }[];
  seats: {
    seatId: string;
    sectionId: string;
    floor: string;
    rowId: string;
    seatNumber: number;
    grade: string;
    x: number;
    y: number;
    accessible?: boolean;
    companionOf?: string;
    restrictedView?: boolean;
  }[];
}

/** The statuses of a plan's seats: base64 of two bits for each, the first in the lowest. */
interface SeatVector {
  planId: string;
  statuses: string;
}

/** Loads a schedule's seats: its plan, which the browser keeps, and a small vector. `grades` stand from best to least. */
export async function loadSeats(scheduleId: string, planId: string | undefined, grades: string[]): Promise<Seats | Refusal> {
  const path = { scheduleId };
  if (planId === undefined) {
    const map = await ask(api.GET("/api/v1/schedules/{scheduleId}/seats", { params: { path } }));
    if (isRefusal(map)) return map;
    const seats = seatsIn(map);
    const status = Uint8Array.from(seats, (seat) => STATUS[seat.status] ?? BLOCKED);
    return followed(scheduleId, planOf(seats, grades), status);
  }

  const readPlan = (planId: string) => documentOf<SeatPlan>(`/api/v1/plans/${encodeURIComponent(planId)}`);
  const [known, vector] = await Promise.all([
    readPlan(planId),
    documentOf<SeatVector>(`/api/v1/schedules/${encodeURIComponent(scheduleId)}/seats?shape=vector`),
  ]);
  if (isRefusal(vector)) return vector;
  // The plan may have changed since the schedule was read; the vector says of which it is.
  const plan = isRefusal(known) || known.planId !== vector.planId ? await readPlan(vector.planId) : known;
  if (isRefusal(plan)) return plan;
  return followed(scheduleId, planFrom(plan, grades), statusesOf(vector.statuses, plan.seats.length));
}

/** The seats of a map that was asked for without a shape, which is a list of them. */
export function seatsIn<Seat>(map: { seats: Seat[] } | { statuses: string }): Seat[] {
  return "seats" in map ? map.seats : [];
}

function planFrom({ stage, sections, seats }: SeatPlan, grades: string[]): Plan {
  const flat = (outline: [number, number][] | undefined) => (outline ? Float32Array.from(outline.flat()) : null);
  const outlines = new Map<string, Outline>();
  for (const section of sections) {
    const outline = flat(section.outline);
    if (outline) outlines.set(sectionName(section.floor, section.sectionId), outline);
  }
  // A venue that doesn't say where things are gets places by order, a unit apart: this page lays it out as a hall.
  const isPlaced =
    stage !== undefined || outlines.size > 0 || seats.some(({ x, y }) => !Number.isInteger(x) || !Number.isInteger(y));
  const listed = seats.map(({ sectionId, rowId, seatNumber, x, y, ...seat }) => ({
    ...seat,
    section: sectionId,
    row: rowId,
    number: seatNumber,
    ...(isPlaced ? { x, y } : {}),
  }));
  return planOf(listed, grades, { stage: flat(stage?.outline), sections: outlines });
}

/** Unpacks two bits for each seat. */
function statusesOf(text: string, count: number): Uint8Array {
  const bytes = atob(text);
  return Uint8Array.from({ length: count }, (_, seat) => (bytes.charCodeAt(seat >> 2) >> (2 * (seat & 3))) & 3);
}

function followed(scheduleId: string, plan: Plan, status: Uint8Array): Seats {
  const version = signal(0);
  const isLive = signal(false);
  const listeners = new Set<(changed: number[] | null) => void>();

  // Told a few times a second: the server sends ten changes in that time, and a phone has better things to do than to draw them all.
  let due: ReturnType<typeof setTimeout> | undefined;
  let waiting: number[] | null = [];
  let toldAt = -Infinity;
  const tellNow = () => {
    due = undefined;
    toldAt = performance.now();
    const changed = waiting;
    waiting = [];
    version.value += 1;
    for (const listener of listeners) listener(changed);
  };
  const tell = (changed: number[] | null) => {
    if (changed?.length === 0) return;
    waiting = changed && waiting ? waiting.concat(changed) : null;
    due ??= setTimeout(tellNow, Math.max(0, toldAt + TELL_MS - performance.now()));
  };

  const take = (name: string, data: string) => {
    const { seats } = JSON.parse(data) as { seats: Record<string, string> };
    // A snapshot has all seats that aren't free; the others are.
    const before = name === "snapshot" ? status.slice() : null;
    if (before) status.fill(FREE);
    const changed: number[] = [];
    for (const [id, word] of Object.entries(seats)) {
      const seat = plan.indexOf(id);
      if (seat === undefined) continue;
      status[seat] = STATUS[word] ?? BLOCKED;
      changed.push(seat);
    }
    if (!before) return tell(changed);
    const differ: number[] = [];
    for (let seat = 0; seat < plan.count; seat++) if (status[seat] !== before[seat]) differ.push(seat);
    tell(differ.length > plan.count / 4 ? null : differ);
  };

  return {
    plan,
    status,
    version,
    isLive,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    open() {
      let stop: (() => void) | null = null;
      let hide: ReturnType<typeof setTimeout> | undefined;
      const start = () => {
        stop ??= follow(`/api/v1/schedules/${encodeURIComponent(scheduleId)}/seats/events`, {
          on: ({ name, data }) => {
            if (name === "snapshot" || name === "delta") take(name, data);
          },
          onLine: (there) => (isLive.value = there),
          onRefused: () => (isLive.value = false),
        });
      };
      const end = () => {
        clearTimeout(due);
        due = undefined;
        stop?.();
        stop = null;
        isLive.value = false;
      };
      // A browser opens few connections to a server, and hidden tabs share them: one that stays hidden gives its stream back.
      const look = () => {
        clearTimeout(hide);
        if (document.visibilityState === "visible") start();
        else hide = setTimeout(end, 20_000);
      };
      document.addEventListener("visibilitychange", look);
      start();
      return () => {
        document.removeEventListener("visibilitychange", look);
        clearTimeout(hide);
        end();
      };
    },
  };
}
