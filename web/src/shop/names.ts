// How seats are called.
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

/** A path for the page of a schedule. Ids may have any letters. */
export const salePath = (scheduleId: string) => `/schedules/${encodeURIComponent(scheduleId)}`;
export const showPath = (concertId: string) => `/shows/${encodeURIComponent(concertId)}`;
export const reservationPath = (reservationId: string) => `/reservations/${encodeURIComponent(reservationId)}`;
