// Reads the feed of events up to where the journal is now.
import { Refused } from "@onsale/client";
import { client } from "../base/api";
import type { RoomEvent } from "./draw";

export interface Reading {
  /** The position after which it begins; null for the oldest that is kept. */
  after: number | null;
  /** The position with which it ends. */
  until: number;
  /** Only events of this subject are told. */
  subject: string;
  on: (event: RoomEvent) => void;
  onPosition?: (position: number) => void;
  signal: AbortSignal;
}

/** Reads until the end. Returns false if the server refuses, or the reader gave up. */
export async function readFeed(reading: Reading): Promise<boolean> {
  const { after, until, subject, signal } = reading;
  if (after !== null && after >= until) return true;
  try {
    for await (const { id, data } of client.stream(`/api/v1/events${after === null ? "" : `?after=${after}`}`, { signal })) {
      // Most events are others': they aren't parsed.
      if (data.includes(`"subject":${JSON.stringify(subject)}`)) reading.on(JSON.parse(data) as RoomEvent);
      reading.onPosition?.(Number(id));
      if (Number(id) >= until) return true;
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return false;
}
