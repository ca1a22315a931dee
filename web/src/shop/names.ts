// How much a reservation has, and where pages are.
import type { Reservation } from "../base/api";
import { t } from "./texts";

/** How many seats and places of areas a reservation has. */
export function placeCount({ seats, areas = [] }: Reservation): number {
  return seats.length + areas.reduce((sum, { count }) => sum + count, 0);
}

/** How much a reservation has: seats, or places where some of them have no number. */
export const sizeOf = (reservation: Reservation): string =>
  reservation.areas?.length ? t.value.places(placeCount(reservation)) : t.value.seats(placeCount(reservation));

/** A path for the page of a schedule. Ids may have any letters. */
export const salePath = (scheduleId: string) => `/schedules/${encodeURIComponent(scheduleId)}`;
export const showPath = (concertId: string) => `/shows/${encodeURIComponent(concertId)}`;
export const reservationPath = (reservationId: string) => `/reservations/${encodeURIComponent(reservationId)}`;
