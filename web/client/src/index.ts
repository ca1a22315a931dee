// What an integrator has of `onsale`: the API typed by its own description, and what a client otherwise gets wrong.
export { Clock } from "./clock.js";
export { type Answer, type Client, connect, type Options, type Told } from "./connect.js";
export { isOver, type KeyStore } from "./keys.js";
export { isRefusal, orThrow, type Refusal, type RefusalCode, Refused, type Schemas } from "./refusal.js";
export { readSeats, STATUSES, type SeatsThen, statusesOf } from "./seats.js";
export type { StreamEvent, StreamOptions } from "./stream.js";
export { feed, type FeedEvent, type PlaceChange, placeChanges, type SeatChange, seatChanges, ticketed } from "./streams.js";
export type { components, paths } from "./schema.js";
