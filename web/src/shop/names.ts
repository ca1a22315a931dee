// How seats are called.
import type { Reservation } from "../base/api";
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

/** How many seats and places of areas a reservation has. */
export function placeCount({ seats, areas = [] }: Reservation): number {
  return seats.length + areas.reduce((sum, { count }) => sum + count, 0);
}

/** How much a reservation has: seats, or places where some of them have no number. */
export const sizeOf = (reservation: Reservation): string =>
  reservation.areas?.length ? t.value.places(placeCount(reservation)) : t.value.seats(placeCount(reservation));

/** All that a reservation has, by name. An area whose name isn't known yet is called by its grade. */
export function placeNames({ seats, areas = [] }: Reservation, areaNames?: ReadonlyMap<string, string> | null): string[] {
  return [
    ...seats.map(({ seatId }) => seatName(seatId)),
    ...areas.map(({ areaId, grade, count }) => t.value.times(areaNames?.get(areaId) ?? grade, count)),
  ];
}

/** A path for the page of a schedule. Ids may have any letters. */
export const salePath = (scheduleId: string) => `/schedules/${encodeURIComponent(scheduleId)}`;
export const showPath = (concertId: string) => `/shows/${encodeURIComponent(concertId)}`;
export const reservationPath = (reservationId: string) => `/reservations/${encodeURIComponent(reservationId)}`;
