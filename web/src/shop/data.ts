// What the storefront reads, and keeps while the page is open.
import { useEffect } from "preact/hooks";
import { serverNow as now } from "../base/clock";
import {
  api,
  ask,
  type Concert,
  document as documentOf,
  isRefusal,
  type PageSettings,
  type Refusal,
  type Schedule,
  type Schemas,
} from "../base/api";
import { beginSeats } from "../map/feed";

export type Venue = Schemas["VenueSummary"];

/** A concert as lists have it: its id is always there. */
export type Show = Concert & { concertId: string };

const cache = new Map<string, Promise<unknown>>();

/** Reads once; a refusal is asked for anew. */
export function once<T>(name: string, read: () => Promise<T | Refusal>): Promise<T | Refusal> {
  const known = cache.get(name) as Promise<T | Refusal> | undefined;
  if (known) return known;
  const reading = read().then((answer) => {
    if (isRefusal(answer)) cache.delete(name);
    return answer;
  });
  cache.set(name, reading);
  return reading;
}

export const settings = () => once<PageSettings>("settings", () => documentOf("/pages.json"));

const LIST = { params: { query: { limit: 1000 } } } as const;

export const shows = () =>
  once<Show[]>("shows", async () => {
    const list = await ask(api.GET("/api/v1/concerts", LIST));
    return isRefusal(list) ? list : (list.items as Show[]);
  });

export const show = (concertId: string) =>
  once<Show>(`show ${concertId}`, async () => {
    const concert = await ask(api.GET("/api/v1/concerts/{concertId}", { params: { path: { concertId } } }));
    return isRefusal(concert) ? concert : { ...concert, concertId };
  });

export const venues = () =>
  once<Map<string, Venue>>("venues", async () => {
    const list = await ask(api.GET("/api/v1/venues", LIST));
    return isRefusal(list) ? list : new Map(list.items.map((venue) => [venue.venueId, venue]));
  });

export async function schedulesOf(concertId: string): Promise<Schedule[] | Refusal> {
  const params = { path: { concertId }, query: { limit: 1000 } };
  const list = await ask(api.GET("/api/v1/concerts/{concertId}/schedules", { params }));
  return isRefusal(list) ? list : list.items;
}

const schedule = (scheduleId: string): Promise<Schedule | Refusal> =>
  ask(api.GET("/api/v1/schedules/{scheduleId}", { params: { path: { scheduleId } } }));

/** A performance that was asked for before its page was there. */
let begun: { scheduleId: string; schedule: Promise<Schedule | Refusal> } | null = null;

/** Asks for what the page of a performance shows while the page itself is on its way: on a slow line each question takes long. */
export async function beginSale(scheduleId: string): Promise<void> {
  const asked = schedule(scheduleId);
  begun = { scheduleId, schedule: asked };
  void venues();
  const own = await asked;
  if (isRefusal(own)) return;
  void show(own.concertId);
  // Behind a waiting room the seats aren't seen yet.
  if (own.status === "open" && !own.policy.queue) beginSeats(own);
}

/** A performance with all that its pages show. */
export interface Sale {
  schedule: Schedule;
  show: Show;
  venue: Venue | undefined;
}

export async function saleOf(scheduleId: string): Promise<Sale | Refusal> {
  const asked = begun?.scheduleId === scheduleId ? begun.schedule : schedule(scheduleId);
  begun = null;
  const [own, all] = await Promise.all([asked, venues()]);
  if (isRefusal(own)) return own;
  const of = await show(own.concertId);
  if (isRefusal(of)) return of;
  return { schedule: own, show: of, venue: isRefusal(all) ? undefined : all.get(own.venueId) };
}

/** Calls back at an instant of the server's clock, and when the page is looked at again. */
export function useAt(at: number | null, call: () => void): void {
  useEffect(() => {
    if (at === null) return;
    let timer: ReturnType<typeof setTimeout>;
    const wait = () => {
      // A timer counts at most 24.8 days.
      timer = setTimeout(() => (at - now() > 0 ? wait() : call()), Math.min(Math.max(at - now(), 0), 1_000_000_000));
    };
    wait();
    return () => clearTimeout(timer);
  }, [at]);
}
