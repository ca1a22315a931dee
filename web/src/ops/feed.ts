// Reads the feed of events up to where the journal is now.
import { follow } from "../base/stream";
import { session } from "../base/session";
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

/** Reads until the end, or until a listener has had enough. Returns false if the server refuses, or the reader gave up. */
export function readFeed(reading: Reading): Promise<boolean> {
  const { after, until, subject, signal } = reading;
  if (after !== null && after >= until) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (isWhole: boolean) => {
      stop();
      resolve(isWhole);
    };
    const stop = follow(`/api/v1/events${after === null ? "" : `?after=${after}`}`, {
      headers: () => ({ authorization: `Bearer ${session.value?.accessToken ?? ""}` }),
      on({ data }) {
        // Most events are others': they aren't parsed.
        const position = Number(/"position":(\d+)/.exec(data)?.[1] ?? 0);
        if (data.includes(`"subject":${JSON.stringify(subject)}`)) reading.on(JSON.parse(data) as RoomEvent);
        reading.onPosition?.(position);
        if (position >= until) end(true);
      },
      onRefused: () => end(false),
    });
    signal.addEventListener("abort", () => end(false));
  });
}
