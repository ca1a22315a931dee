// Reads the text of Prometheus that `/metrics` gives, as far as this page shows it.

/** A histogram: how many observations were at most each bound, in seconds; the last bound is infinite. */
export interface Histogram {
  bounds: number[];
  counts: number[];
}

/** What was counted since the engine started. */
export interface Counted {
  holds: number;
  holdsRefused: number;
  confirms: number;
  joins: number;
  admissions: number;
  requests: number;
  /** By method and route, such as `POST /api/v1/reservations`. */
  latency: Map<string, Histogram>;
  sync: Histogram;
  write: Histogram;
  /** Changes and commits: their quotient is how many shared one. */
  batchSum: number;
  batchCount: number;
}

const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function read(text: string): Counted {
  const none = (): Histogram => ({ bounds: [], counts: [] });
  const counted: Counted = {
    holds: 0,
    holdsRefused: 0,
    confirms: 0,
    joins: 0,
    admissions: 0,
    requests: 0,
    latency: new Map(),
    sync: none(),
    write: none(),
    batchSum: 0,
    batchCount: 0,
  };
  const bucket = (histogram: Histogram, labels: Record<string, string>, value: number) => {
    histogram.bounds.push(labels.le === "+Inf" ? Infinity : Number(labels.le));
    histogram.counts.push(value);
  };
  for (const line of text.split("\n")) {
    if (!line.startsWith("onsale_")) continue;
    const space = line.lastIndexOf(" ");
    const value = Number(line.slice(space + 1));
    const brace = line.indexOf("{");
    const name = line.slice(7, brace === -1 ? space : brace);
    const take = FIELDS[name];
    if (!take || Number.isNaN(value)) continue;
    const labels: Record<string, string> = {};
    if (brace !== -1) for (const [, label, content] of line.slice(brace, space).matchAll(LABEL)) labels[label as string] = content as string;
    take(counted, labels, value, bucket);
  }
  return counted;
}

type Bucket = (histogram: Histogram, labels: Record<string, string>, value: number) => void;

/** What each metric's line adds, by its name without `onsale_`. */
const FIELDS: Record<string, (to: Counted, labels: Record<string, string>, value: number, bucket: Bucket) => void> = {
  decisions_total(to, { command, outcome }, value) {
    if (command === "hold" && outcome === "done") to.holds += value;
    if (command === "hold" && outcome === "refused") to.holdsRefused += value;
    if (command === "confirm" && outcome === "done") to.confirms += value;
  },
  queue_joins_total: (to, _, value) => void (to.joins += value),
  queue_admissions_total: (to, _, value) => void (to.admissions += value),
  http_requests_total: (to, _, value) => void (to.requests += value),
  http_request_seconds_bucket(to, labels, value, bucket) {
    const { route = "", method = "" } = labels;
    // A stream's time is how long somebody listened.
    if (route.endsWith("/events") || route.endsWith("/export")) return;
    const name = `${method} ${route}`;
    let histogram = to.latency.get(name);
    if (!histogram) to.latency.set(name, (histogram = { bounds: [], counts: [] }));
    bucket(histogram, labels, value);
  },
  journal_sync_seconds_bucket: (to, labels, value, bucket) => bucket(to.sync, labels, value),
  journal_write_seconds_bucket: (to, labels, value, bucket) => bucket(to.write, labels, value),
  journal_batch_entries_sum: (to, _, value) => void (to.batchSum = value),
  journal_batch_entries_count: (to, _, value) => void (to.batchCount = value),
};

/** Returns what was observed between two readings; null if the engine was started anew between them. */
export function between(before: Histogram | undefined, after: Histogram | undefined): Histogram | null {
  if (!after) return null;
  if (!before || before.counts.length !== after.counts.length) return after;
  const counts = after.counts.map((count, index) => count - (before.counts[index] as number));
  return counts.some((count) => count < 0) ? null : { bounds: after.bounds, counts };
}

/** Adds histograms of the same bounds. */
export function sum(histograms: Iterable<Histogram>): Histogram {
  let all: Histogram = { bounds: [], counts: [] };
  for (const { bounds, counts } of histograms) {
    if (all.counts.length === 0) all = { bounds, counts: counts.slice() };
    else counts.forEach((count, index) => (all.counts[index] = (all.counts[index] ?? 0) + count));
  }
  return all;
}

/** Returns the value under which a part of the observations lie, in seconds, as exact as the bounds allow; null without any. */
export function quantile({ bounds, counts }: Histogram, part: number): number | null {
  const total = counts.at(-1) ?? 0;
  if (total === 0) return null;
  const rank = part * total;
  const at = counts.findIndex((count) => count >= rank);
  const [low, high] = [at === 0 ? 0 : (bounds[at - 1] as number), bounds[at] as number];
  if (!Number.isFinite(high)) return low;
  const below = at === 0 ? 0 : (counts[at - 1] as number);
  const own = (counts[at] as number) - below;
  return own === 0 ? high : low + ((high - low) * (rank - below)) / own;
}
