// A place in a schedule's waiting room: kept in this browser, followed while a page needs it.
//
// The pass survives a reload and a lost line: the server knows the place, and tells where it stands when asked again.
import { signal } from "@preact/signals";
import { placeChanges, Refused } from "@onsale/client";
import { api, ask, change, client, isRefusal, type Place, type Refusal } from "../base/api";
import { session } from "../base/session";
import { keep, kept } from "../base/store";

/** Where the reader stands. `out`: no place; `lost`: a place that ended, and how. */
export type Stand =
  | { kind: "unknown" }
  | { kind: "out"; ended: "expired" | "done" | null }
  | {
      kind: "waiting";
      position: number | null;
      ahead: number | null;
      waitSeconds: number | null;
      soldOut: boolean;
      seatsLeft: Record<string, number> | null;
    }
  | { kind: "active"; expiresAt: string | null };

const nameOf = (scheduleId: string) => `pass.${session.value?.userId ?? ""}.${scheduleId}`;

/** Returns the reader's pass of a schedule, if they have one. */
export function passOf(scheduleId: string): string | null {
  return session.value && kept<string>(nameOf(scheduleId));
}

/** The header by which a request shows the pass. */
export function withPass(scheduleId: string): { "Queue-Token"?: string } {
  const pass = passOf(scheduleId);
  return pass ? { "Queue-Token": pass } : {};
}

export class Room {
  readonly stand = signal<Stand>({ kind: "unknown" });
  /** Whether the line to the server is there. */
  readonly isLive = signal(true);
  private line: AbortController | null = null;

  constructor(private readonly scheduleId: string) {}

  /** Looks where the reader stands, and follows it. */
  async enter(): Promise<void> {
    this.leaveQuietly();
    const pass = passOf(this.scheduleId);
    if (!pass) {
      this.stand.value = { kind: "out", ended: null };
      return;
    }
    const params = { query: { scheduleId: this.scheduleId }, header: { "Queue-Token": pass } };
    const place = await ask(api.GET("/api/v1/queue/tokens/current", { params }));
    if (isRefusal(place)) {
      // A pass that the server doesn't know is none. Any other failure is over when the line is back: the stream asks again.
      if (["queue_token_invalid", "not_found", "no_waiting_room"].includes(place.code)) return this.forget(null);
    } else if (!this.take(place)) return;
    void this.listen();
  }

  /** Takes a place in the line, with a code where the door asks for one, or finds the one that the reader has. */
  async join(code: string): Promise<Refusal | null> {
    const body = { scheduleId: this.scheduleId, ...(code && { code }) };
    const place = await change(`join.${this.scheduleId}`, body, (header) =>
      api.POST("/api/v1/queue/tokens", { params: { header }, body }),
    );
    if (isRefusal(place)) return place;
    keep(nameOf(this.scheduleId), place.token);
    if (this.take(place)) void this.listen();
    return null;
  }

  /** Gives the place up: the next in line moves on. */
  async leave(): Promise<Refusal | null> {
    const pass = passOf(this.scheduleId);
    if (!pass) return null;
    const gone = await change(`leave.${this.scheduleId}`, pass, (header) =>
      api.DELETE("/api/v1/queue/tokens/current", {
        params: { query: { scheduleId: this.scheduleId }, header: { ...header, "Queue-Token": pass } },
      }),
    );
    if (isRefusal(gone)) return gone;
    this.forget(null);
    return null;
  }

  /** The server said that the pass isn't good any more. */
  forget(ended: "expired" | "done" | null): void {
    this.leaveQuietly();
    keep(nameOf(this.scheduleId), null);
    this.stand.value = { kind: "out", ended };
  }

  /** Stops following; the place stays. */
  leaveQuietly(): void {
    this.line?.abort();
    this.line = null;
  }

  /** Takes what the server says of the place; false where it has ended. */
  private take(
    place: Pick<Place, "status" | "position" | "peopleAhead" | "estimatedWaitSeconds" | "soldOut" | "seatsLeft"> & {
      expiresAt?: string | null;
    },
  ): boolean {
    if (place.status === "expired" || place.status === "done") {
      this.forget(place.status);
      return false;
    }
    this.stand.value =
      place.status === "active"
        ? { kind: "active", expiresAt: place.expiresAt ?? null }
        : {
            kind: "waiting",
            position: place.position,
            ahead: place.peopleAhead,
            waitSeconds: place.estimatedWaitSeconds,
            soldOut: place.soldOut ?? false,
            seatsLeft: place.seatsLeft ?? null,
          };
    return true;
  }

  private async listen(): Promise<void> {
    this.leaveQuietly();
    const { signal } = (this.line = new AbortController());
    try {
      const onLine = (there: boolean) => (this.isLive.value = there);
      for await (const change of placeChanges(client, this.scheduleId, () => passOf(this.scheduleId), { signal, onLine })) {
        if (change.kind === "ended") this.forget(change.status === "done" ? "done" : "expired");
        else this.take(change);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if ([401, 403, 404].includes(error.refusal.problem.status ?? 0)) this.forget("expired");
    }
  }
}
