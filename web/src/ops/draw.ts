// A draw made again: the order that a seed gives, and whether people were let in by it.
//
// The algorithm is the engine's, as its documentation says it: block `i` of numbers is SHA-256(seed ‖ `i` as 8 bytes, big-endian), four
// big-endian 64-bit numbers; a number below `n` is the first below the greatest multiple of `n` that is at most 2^64, modulo `n`; Fisher and
// Yates from the end. The input is told by the feed of events: who had joined, and hadn't left or been drawn before.
import { bytesOf, hex, sha256 } from "./sha256";

/** Returns the tickets in the order that the seed gives them: the first is the first in line. */
export function shuffle(seed: Uint8Array, tickets: readonly number[]): number[] {
  const order = tickets.slice();
  const input = new Uint8Array(40);
  input.set(seed);
  const view = new DataView(input.buffer);
  let [block, used] = [0n, 4];
  let numbers: DataView = new DataView(new ArrayBuffer(32));
  const next = (): bigint => {
    if (used === 4) {
      view.setBigUint64(32, block++);
      [numbers, used] = [new DataView(sha256(input).buffer), 0];
    }
    return numbers.getBigUint64(8 * used++);
  };
  const below = (count: bigint): number => {
    const end = 2n ** 64n - (2n ** 64n % count);
    for (;;) {
      const number = next();
      if (number < end) return Number(number % count);
    }
  };
  for (let last = order.length - 1; last > 0; last--) {
    const chosen = below(BigInt(last + 1));
    [order[last], order[chosen]] = [order[chosen]!, order[last]!];
  }
  return order;
}

/** An event of a waiting room, as the feed has it. */
export interface RoomEvent {
  type: string;
  time: string;
  position: number;
  data: Record<string, unknown>;
}

/** The last draw of a room, and all that speaks for or against it. */
export interface Checked {
  seed: string;
  drawnAt: string;
  position: number;
  /** The hash that was published before, and where; null if the journal doesn't keep it any more. */
  published: { hash: string; at: string; position: number } | null;
  hashFits: boolean;
  /** The tickets of the draw, in the order that the seed gives, and whose they are. */
  order: { ticket: number; userId: string }[];
  /** How many of them were let in since, and whether always the first in line was. */
  admitted: number;
  admittedInOrder: boolean;
}

/** Follows a room through its events, from before the first place was taken. */
export class RoomFollower {
  private readonly users = new Map<number, string>();
  private waiting = new Set<number>();
  private drawn = new Set<number>();
  private published: Checked["published"] = null;
  private line: number[] = [];
  /** Everyone in the line before it has left or was let in. */
  private head = 0;
  private places: ReadonlySet<number> = new Set();
  private lastOfDraw = 0;
  private newest = 0;
  private admitted = 0;
  private inOrder = true;
  private draw: Omit<Checked, "admitted" | "admittedInOrder"> | null = null;

  take({ type, time, position, data }: RoomEvent): void {
    const ticket = data.ticket as number;
    const tickets = data.tickets as number[];
    switch (type) {
      case "RoomConfigured":
        if (data.queue === null) this.waiting.clear();
        if (typeof data.seedSha256 === "string" && data.seedSha256 !== this.published?.hash) {
          this.published = { hash: data.seedSha256, at: time, position };
          // Who waits now keeps the place, and isn't drawn again.
          if (this.draw) for (const waits of this.waiting) this.drawn.add(waits);
        }
        break;
      case "Joined":
        this.users.set(ticket, data.userId as string);
        this.newest = ticket;
        if (!data.admitted) this.waiting.add(ticket);
        break;
      case "Drawn":
        this.make(data.seed as string, time, position);
        break;
      case "Admitted":
        for (const admitted of tickets) this.admit(admitted);
        break;
      case "Left":
      case "Finished":
        this.waiting.delete(ticket);
        break;
      case "PassesExpired":
        for (const over of tickets) this.waiting.delete(over);
        break;
      case "PlacesExpired":
        for (const waits of this.waiting) if (waits <= (data.lastTicket as number)) this.waiting.delete(waits);
        break;
      case "GateMoved":
        if (data.gate === "cancelled") this.waiting.clear();
        break;
    }
  }

  private make(seed: string, drawnAt: string, position: number): void {
    const input = [...this.waiting].filter((ticket) => !this.drawn.has(ticket)).sort((a, b) => a - b);
    this.line = shuffle(bytesOf(seed), input);
    for (const ticket of input) this.drawn.add(ticket);
    const hash = hex(sha256(bytesOf(seed)));
    const order = this.line.map((ticket) => ({ ticket, userId: this.users.get(ticket) ?? "" }));
    this.draw = { seed, drawnAt, position, published: this.published, hashFits: !this.published || this.published.hash === hash, order };
    [this.admitted, this.inOrder, this.head] = [0, true, 0];
    this.places = new Set(input);
    this.lastOfDraw = this.newest;
  }

  private admit(ticket: number): void {
    if (this.draw) {
      const { line } = this;
      while (this.head < line.length && !this.waiting.has(line[this.head]!)) this.head += 1;
      const isNext = line[this.head] === ticket;
      if (this.places.has(ticket)) this.admitted += 1;
      // Who came after the draw stands behind it; who was drawn before stands ahead.
      const isOfTheDraw = this.places.has(ticket) || ticket > this.lastOfDraw;
      if (isOfTheDraw && this.head < line.length && !isNext) this.inOrder = false;
    }
    this.waiting.delete(ticket);
  }

  /** The last draw; null if there was none. */
  checked(): Checked | null {
    return this.draw && { ...this.draw, admitted: this.admitted, admittedInOrder: this.inOrder };
  }
}
