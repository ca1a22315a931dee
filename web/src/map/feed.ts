// The seats of a schedule as they are now: the plan, each seat's status, and every change of it.
import { signal } from "@preact/signals";
import { readSeats, Refused, type SeatChange, seatChanges, type SeatsThen, STATUSES } from "@onsale/client";
import { client, isRefusal, type Refusal, type Schedule, type Schemas } from "../base/api";
import { type Area, type Outline, type Plan, planOf, sectionName } from "./plan";

/** A seat's status, by its number in `STATUSES`. */
export const FREE = 0;
export const HELD = 1;
export const RESERVED = 2;
export const BLOCKED = 3;

/** The least time between two tellings of what changed. */
const TELL_MS = 250;

/** The seats of one schedule, followed. */
export interface Seats {
  plan: Plan;
  /** A status by a seat's place in the plan. */
  status: Uint8Array;
  /** The areas without numbered seats and how many of their places have which status, in the plan's order. */
  areas: { readonly value: readonly Schemas["MapArea"][] };
  /** Counts up with each change of `status`. */
  version: { readonly value: number };
  /** Whether changes come in. */
  isLive: { readonly value: boolean };
  /** Calls back with the seats that changed; null for all. */
  onChange(listener: (changed: number[] | null) => void): () => void;
  /** Follows the changes from now on, until the function that is returned is called. */
  open(): () => void;
}

const read = ({ scheduleId, planId }: Schedule) => readSeats(client, scheduleId, planId);

/** What was asked for before anybody could use it. */
let begun: { scheduleId: string; seats: ReturnType<typeof read> } | null = null;

/** Asks for a schedule's seats now: the next to load them waits the less. */
export function beginSeats(schedule: Schedule): void {
  begun = { scheduleId: schedule.scheduleId, seats: read(schedule) };
}

/** Loads a schedule's seats: its plan, which the browser keeps, and a small vector. `grades` stand from best to least. */
export async function loadSeats(schedule: Schedule, grades: string[]): Promise<Seats | Refusal> {
  const { scheduleId } = schedule;
  const asked = begun?.scheduleId === scheduleId ? begun.seats : read(schedule);
  // Once: whoever loads them again wants them as they are then.
  begun = null;
  const seats = await asked;
  return isRefusal(seats) ? seats : followed(scheduleId, planFrom(seats.plan, grades), seats);
}

function planFrom({ stage, sections, seats, areas = [] }: SeatsThen["plan"], grades: string[]): Plan {
  const flat = (outline: number[][] | null | undefined) => (outline ? Float32Array.from(outline.flat()) : null);
  const outlines = new Map<string, Outline>();
  for (const section of sections) {
    const outline = flat(section.outline);
    if (outline) outlines.set(sectionName(section.floor, section.sectionId), outline);
  }
  const placed = areas.map(({ areaId, name, grade, outline }): Area => ({
    id: areaId,
    name,
    grade: Math.max(0, grades.indexOf(grade)),
    outline: flat(outline),
  }));
  // A venue that doesn't say where things are gets places by order, a unit apart: this page lays it out as a hall.
  const isPlaced =
    stage ||
    outlines.size > 0 ||
    placed.some(({ outline }) => outline) ||
    seats.some(({ x, y }) => !Number.isInteger(x) || !Number.isInteger(y));
  const listed = seats.map(({ sectionId, rowId, seatNumber, x, y, ...seat }) => ({
    ...seat,
    section: sectionId,
    row: rowId,
    number: seatNumber,
    ...(isPlaced ? { x, y } : {}),
  }));
  return planOf(listed, grades, { stage: flat(stage?.outline), sections: outlines, areas: placed });
}

function followed(scheduleId: string, plan: Plan, { statuses: status, areas: counted }: SeatsThen): Seats {
  const areas = signal<readonly Schemas["MapArea"][]>(counted);
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

  const take = ({ kind, seats, areas: changedAreas }: SeatChange) => {
    // A snapshot has all areas, a delta the counts that changed.
    if (Array.isArray(changedAreas)) areas.value = changedAreas;
    else if (changedAreas) areas.value = areas.value.map((area) => ({ ...area, ...changedAreas[area.areaId] }));
    // A snapshot has all seats that aren't free; the others are.
    const before = kind === "snapshot" ? status.slice() : null;
    if (before) status.fill(FREE);
    const changed: number[] = [];
    for (const [id, word] of Object.entries(seats)) {
      const seat = plan.indexOf(id);
      if (seat === undefined) continue;
      status[seat] = STATUSES.indexOf(word);
      changed.push(seat);
    }
    if (!before) return tell(changed);
    const differ: number[] = [];
    for (let seat = 0; seat < plan.count; seat++) if (status[seat] !== before[seat]) differ.push(seat);
    tell(differ.length > plan.count / 4 ? null : differ);
  };

  const listen = async (signal: AbortSignal) => {
    try {
      const onLine = (there: boolean) => (isLive.value = there);
      for await (const change of seatChanges(client, scheduleId, { signal, onLine })) take(change);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      isLive.value = false;
    }
  };

  return {
    plan,
    status,
    areas,
    version,
    isLive,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    open() {
      let line: AbortController | null = null;
      let hide: ReturnType<typeof setTimeout> | undefined;
      const start = () => {
        if (line) return;
        line = new AbortController();
        void listen(line.signal);
      };
      const end = () => {
        clearTimeout(due);
        due = undefined;
        line?.abort();
        line = null;
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
