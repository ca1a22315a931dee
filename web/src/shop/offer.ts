// What a code gives: asked before anything is held with it, said, and shown on the map.
import { computed, type ReadonlySignal } from "@preact/signals";
import { api, ask, isRefusal } from "../base/api";
import { money } from "../base/language";
import { announce } from "../base/live";
import { session } from "../base/session";
import { BLOCKED, FREE, type Seats } from "../map/feed";
import type { Code, Offer } from "./code";
import { t } from "./texts";

/** Asks what a code gives. It is asked as somebody: whoever guesses codes is told to wait. */
export async function look(code: Code, currency: string): Promise<void> {
  const text = code.said;
  if (!text || !session.value || code.asked === text) return;
  code.asked = text;
  const params = { path: { scheduleId: code.scheduleId }, query: { code: text } };
  const offer = await ask(api.GET("/api/v1/schedules/{scheduleId}/offer", { params }));
  if (code.said !== text) return;
  if (isRefusal(offer)) return void code.refuse(offer, true);
  // The same seats stay the same list, so that a map of them isn't drawn anew.
  const [own, before] = [offer.allotment, code.offer.value?.allotment];
  if (own && before && own.seats.join() === before.seats.join()) own.seats = before.seats;
  code.offer.value = offer;
  announce(offerWords(offer, currency));
}

/** Says what a code gives. */
export function offerWords({ discount, grades, allotment }: Offer, currency: string): string {
  const words = [
    discount && t.value.offEach(discount.percent ? `${discount.percent}%` : money(discount.amountPerSeat ?? 0, currency)),
    grades && t.value.onlyGrades(grades.join(", ")),
    allotment && t.value.setAside,
  ];
  return words.filter(Boolean).join(" ") || t.value.codeWorks;
}

/**
 * Returns the seats as who brings a code of an allotment sees them: what is set aside for it is free, and nothing else is. `ids` are its seats;
 * `offer` has how many places of areas are left of it.
 */
export function offered(seats: Seats, ids: readonly string[], offer: ReadonlySignal<Offer | null>): Seats {
  const { plan } = seats;
  const own = new Set(ids.map((id) => plan.indexOf(id)));
  const status = new Uint8Array(plan.count);
  // One that is left of an allotment is blocked for everyone else.
  const look = (seat: number) => {
    const [from, to] = own.has(seat) ? [BLOCKED, FREE] : [FREE, BLOCKED];
    status[seat] = seats.status[seat] === from ? to : seats.status[seat]!;
  };
  for (let seat = 0; seat < plan.count; seat++) look(seat);

  const listeners = new Set<(changed: number[] | null) => void>();
  const areas = computed(() =>
    seats.areas.value.map((area) => ({
      ...area,
      available: offer.value?.allotment?.areas?.find(({ areaId }) => areaId === area.areaId)?.available ?? 0,
    })),
  );
  return {
    ...seats,
    status,
    areas,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    open() {
      const stop = seats.onChange((changed) => {
        if (changed) changed.forEach(look);
        else for (let seat = 0; seat < plan.count; seat++) look(seat);
        for (const listener of listeners) listener(changed);
      });
      const end = seats.open();
      return () => {
        stop();
        end();
      };
    },
  };
}
