// Looks at the engine each second while the page is seen, and keeps the last quarter of an hour.
import { computed, effect, signal } from "@preact/signals";
import { serverNow } from "../base/clock";
import { api, ask, isRefusal, type Refusal, type Schemas } from "../base/api";
import { between, type Counted, type Histogram, quantile, read, sum } from "./metrics";
import { isIn, may } from "./who";

export type Overview = Schemas["Overview"];
export type ScheduleOverview = Schemas["ScheduleOverview"];

/** The last look. */
export const overview = signal<Overview | null>(null);
/** Why the last look failed; null if it didn't. */
export const failure = signal<Refusal | null>(null);
/** Whether this page can read `/metrics`; null while that isn't known. */
export const hasMetrics = signal<boolean | null>(null);
/** Counts the looks: what is drawn from a track is drawn anew. */
export const looks = signal(0);

const EVERY_MS = 1_000;
const HIDDEN_EVERY_MS = 15_000;
/** The looks that are kept. */
const KEPT = 900;
/** Two looks that are farther apart say nothing about a second between them. */
const GAP_SECONDS = 5;
/** The time over which percentiles are taken: a second has few requests. */
const WINDOW_SECONDS = 10;

type Numbers = (number | null)[];

/** What was measured at the instants of the looks: seconds since 1970, and by name. */
export class Track<Name extends string> {
  at: number[] = [];
  readonly columns: Record<Name, Numbers>;

  constructor(names: readonly Name[]) {
    this.columns = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Numbers>;
  }

  push(at: number, values: Partial<Record<Name, number | null>>): void {
    this.at.push(at);
    for (const name in this.columns) this.columns[name].push(values[name] ?? null);
    if (this.at.length <= KEPT) return;
    this.at.shift();
    for (const name in this.columns) this.columns[name].shift();
  }

  /** Returns the newest number of a column. */
  last(name: Name): number | null {
    return this.columns[name].at(-1) ?? null;
  }
}

const ALL = [
  "sold",
  "holds",
  "refused",
  "waiting",
  "active",
  "admitted",
  "requests",
  "p50",
  "p95",
  "p99",
  "sync50",
  "sync99",
  "write99",
  "batch",
  "events",
] as const;
const ONE = ["reserved", "held", "waiting", "active", "admitted"] as const;

/** All sales together. */
export const all = new Track(ALL);
const ones = new Map<string, Track<(typeof ONE)[number]>>();

/** Returns the track of one schedule. */
export function trackOf(scheduleId: string): Track<(typeof ONE)[number]> {
  let track = ones.get(scheduleId);
  if (!track) ones.set(scheduleId, (track = new Track(ONE)));
  return track;
}

interface Look {
  at: number;
  counted: Counted | null;
  position: number;
  admitted: Map<string, number>;
}
let looked: Look[] = [];

/** The routes that were asked for, and the one whose latency is drawn; an empty text for all. */
export const routes = signal<string[]>([]);
export const route = signal("");

function latencyOf(counted: Counted): Histogram {
  return (route.peek() ? counted.latency.get(route.peek()) : sum(counted.latency.values())) ?? { bounds: [], counts: [] };
}

/** Fills the percentiles anew, as after the choice of another route. */
effect(() => {
  void route.value;
  if (all.at.length === 0) return;
  const offset = all.at.length - looked.length;
  looked.forEach((look, index) => {
    const parts = percentiles(index, look);
    for (const name of ["p50", "p95", "p99"] as const) all.columns[name][offset + index] = parts[name];
  });
  looks.value = looks.peek() + 1;
});

function percentiles(index: number, look: Look) {
  const none = { p50: null, p95: null, p99: null, sync50: null, sync99: null, write99: null, batch: null };
  const before = looked.slice(0, index).find(({ at, counted }) => counted && look.at - at <= WINDOW_SECONDS);
  if (!look.counted || !before?.counted) return none;
  const latency = between(latencyOf(before.counted), latencyOf(look.counted));
  const sync = between(before.counted.sync, look.counted.sync);
  const part = (of: Histogram | null, part: number) => of && quantile(of, part);
  const commits = look.counted.batchCount - before.counted.batchCount;
  const batch = commits > 0 ? (look.counted.batchSum - before.counted.batchSum) / commits : null;
  return {
    batch,
    p50: part(latency, 0.5),
    p95: part(latency, 0.95),
    p99: part(latency, 0.99),
    sync50: part(sync, 0.5),
    sync99: part(sync, 0.99),
    write99: part(between(before.counted.write, look.counted.write), 0.99),
  };
}

/** Returns by how much something grew each second; null if that can't be said. */
function rate(after: number | undefined, before: number | undefined, seconds: number): number | null {
  if (after === undefined || before === undefined || seconds <= 0 || seconds > GAP_SECONDS || after < before) return null;
  return (after - before) / seconds;
}

function take(now: Overview, counted: Counted | null): void {
  const at = Date.parse(now.at) / 1000;
  const admitted = new Map(now.schedules.flatMap(({ scheduleId, queue }) => (queue ? [[scheduleId, queue.admittedTotal] as const] : [])));
  const look: Look = { at, counted, position: now.journal.position, admitted };
  const before = looked.at(-1);
  // The same instant twice has no second between.
  if (before && at <= before.at) return;
  looked.push(look);
  if (looked.length > KEPT) looked.shift();

  const seconds = before ? at - before.at : 0;
  const per = (field: "holds" | "holdsRefused" | "confirms" | "admissions" | "requests") => rate(counted?.[field], before?.counted?.[field], seconds);
  const overall = (of: Look | undefined) => of && [...of.admitted.values()].reduce((sum, number) => sum + number, 0);
  all.push(at, {
    sold: per("confirms"),
    holds: per("holds"),
    refused: per("holdsRefused"),
    waiting: now.queue.waiting,
    active: now.queue.active,
    admitted: per("admissions") ?? rate(overall(look), overall(before), seconds),
    requests: per("requests"),
    events: rate(look.position, before?.position, seconds),
    ...percentiles(looked.length - 1, look),
  });
  for (const { scheduleId, seats, queue } of now.schedules) {
    trackOf(scheduleId).push(at, {
      reserved: seats.reserved,
      held: seats.held,
      waiting: queue?.waiting ?? null,
      active: queue?.active ?? null,
      admitted: rate(queue?.admittedTotal, before?.admitted.get(scheduleId), seconds),
    });
  }
  const asked = counted ? [...counted.latency.keys()].filter((name) => name.includes(" /api/")).sort() : [];
  if (asked.join() !== routes.value.join()) routes.value = asked;
}

async function metrics(): Promise<Counted | null> {
  if (hasMetrics.value === false) return null;
  try {
    const response = await fetch("/metrics", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    const text = response.ok ? await response.text() : "";
    // On an address of its own it isn't here, and isn't asked for again.
    if (response.status === 404) hasMetrics.value = false;
    if (!text.includes("onsale_")) return null;
    hasMetrics.value = true;
    return read(text);
  } catch {
    return null;
  }
}

/** Looks now, and tells whether there was an answer. */
export async function look(): Promise<boolean> {
  const [now, counted] = await Promise.all([ask(api.GET("/api/v1/admin/overview")), metrics()]);
  if (!isIn.value) return false;
  if (isRefusal(now)) {
    failure.value = now;
    return false;
  }
  failure.value = null;
  take(now, counted);
  overview.value = now;
  looks.value += 1;
  return true;
}

/** How many seconds ago the last look was, when it is old. */
export const asOf = computed(() => (failure.value ? (overview.value?.at ?? null) : null));

/** Looks from now on, as long as somebody has signed in. */
export function watch(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const again = async () => {
    clearTimeout(timer);
    if (!isIn.value || !may("watch")) return;
    const beganAt = performance.now();
    await look();
    const every = document.visibilityState === "visible" ? EVERY_MS : HIDDEN_EVERY_MS;
    clearTimeout(timer);
    timer = setTimeout(again, Math.max(100, every - (performance.now() - beganAt)));
  };
  effect(() => {
    if (isIn.value) return void again();
    clearTimeout(timer);
    [overview.value, failure.value, looked] = [null, null, []];
    all.at = [];
    for (const name of ALL) all.columns[name] = [];
    ones.clear();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void again();
  });
}

/** The engine's instant, in seconds since 1970, at which charts end. */
export const chartNow = () => all.at.at(-1) ?? serverNow() / 1000;
