// The zones of the venues: a performance is at a time of its venue.
import { effect, signal } from "@preact/signals";
import { api, ask, isRefusal } from "../base/api";
import type { Zone } from "../base/language";
import { isIn } from "./who";

const zones = signal<ReadonlyMap<string, string>>(new Map());

/** Returns the zone of a concert's venue, once it is read. */
export const zoneOf = (concertId: string): Zone => zones.value.get(concertId);

const LIST = { params: { query: { limit: 1000 } } } as const;

effect(() => {
  if (!isIn.value) return;
  void Promise.all([ask(api.GET("/api/v1/concerts", LIST)), ask(api.GET("/api/v1/venues", LIST))]).then(([concerts, venues]) => {
    if (isRefusal(concerts) || isRefusal(venues)) return;
    const of = new Map(venues.items.map(({ venueId, timeZone }) => [venueId, timeZone]));
    zones.value = new Map(
      concerts.items.flatMap(({ concertId, venueId }) => (concertId && of.has(venueId) ? [[concertId, of.get(venueId) as string] as const] : [])),
    );
  });
});
