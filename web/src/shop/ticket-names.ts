// How what is on a ticket is called.
import { api, ask, isRefusal, type Reservation } from "../base/api";
import { once } from "./data";
import { t } from "./texts";

export interface SeatParts {
  floor: string;
  section: string;
  row: string;
  number: string;
}

/** Reads the id of a seat that a venue left to the engine: `{floor}-{section}-{row}-{number}`. */
export function partsOf(seatId: string): SeatParts | null {
  const [, floor, section, row, number] = /^([^-]+)-([^-]+)-([^-]+)-([^-]+)$/.exec(seatId) ?? [];
  return floor && section && row && number ? { floor, section, row, number } : null;
}

/** A seat's name for a person, or its id where the id says no more. */
export function seatName(seatId: string): string {
  const parts = partsOf(seatId);
  return parts ? t.value.seatName(parts) : seatId;
}

/** All that a reservation has, by name. An area whose name isn't known yet is called by its grade. */
export function placeNames({ seats, areas = [] }: Reservation, areaNames?: ReadonlyMap<string, string> | null): string[] {
  return [
    ...seats.map(({ seatId }) => seatName(seatId)),
    ...areas.map(({ areaId, grade, count }) => t.value.times(areaNames?.get(areaId) ?? grade, count)),
  ];
}

/** The names of a schedule's areas, by their ids. */
export const areaNames = (planId: string) =>
  once<Map<string, string>>(`areas ${planId}`, async () => {
    const plan = await ask(api.GET("/api/v1/plans/{planId}", { params: { path: { planId } } }));
    return isRefusal(plan) ? plan : new Map((plan.areas ?? []).map(({ areaId, name }) => [areaId, name]));
  });
