// The seats as the map shows them here: a seat's form and colour are its status, not its grade; and they are those of now or of an earlier
// instant.
import { signal } from "@preact/signals";
import { BLOCKED, FREE, RESERVED, type Seats } from "../map/feed";
import { type Drawing, inkOn, SIZE } from "../map/painter";

/** A status' colours by its number, for light and for dark pages; `ops.css` has the same. */
export const COLOURS = {
  light: ["#d9d4c7", "#d98e04", "#1f7a4d", "#45413a"],
  dark: ["#4b4841", "#f0b445", "#45b983", "#cdc7ba"],
};

/** The width of a line, of a seat's unit. */
const LINE = 0.14;

/** The forms of the statuses, which the legend has, too: a free seat is empty, one that is held is filled in part, a sold one is full, and one
 * that isn't on sale is crossed out. */
export const DRAWING: Drawing = {
  draw(context, status, look, box) {
    context.fillStyle = context.strokeStyle = status === FREE ? look.taken : (look.grades[status] ?? look.ink);
    context.lineWidth = LINE;
    if (status === RESERVED) {
      box(SIZE);
      return context.fill();
    }
    if (status === BLOCKED) {
      context.beginPath();
      for (const [x, y] of [
        [0.24, 0.24],
        [0.24, 0.76],
      ] as const) {
        context.moveTo(x, y);
        context.lineTo(1 - x, 1 - y);
      }
      return context.stroke();
    }
    box(SIZE - LINE);
    context.stroke();
    if (status === FREE) return;
    context.save();
    context.clip();
    context.fillRect(0, 0.62, 1, 1);
    context.restore();
  },
  ink: (status, look) => (status === BLOCKED ? null : status === RESERVED ? inkOn(look.grades[status] ?? look.ink) : look.ink),
};

/** A map whose picture can be set to what was. */
export interface Picture {
  /** Every seat is drawn as a free one of a "grade" that is its status: so the map of the storefront draws statuses. */
  seats: Seats;
  /** The status of a seat as it is shown. */
  statusOf(seat: number): number;
  /** How many seats have each status. */
  counts(): number[];
  /** Shows an earlier instant; null for the present. */
  show(past: Uint8Array | null): void;
  end(): void;
}

export function pictureOf(live: Seats, names: string[]): Picture {
  const shown = live.status.slice();
  const plan = { ...live.plan, grade: shown, grades: names };
  const version = signal(0);
  const listeners = new Set<(changed: number[] | null) => void>();
  let isPast = false;

  const set = (from: Uint8Array, seats: number[] | null) => {
    if (seats) for (const seat of seats) shown[seat] = from[seat] as number;
    else shown.set(from);
    version.value += 1;
    for (const listener of listeners) listener(seats);
  };
  const stop = live.onChange((changed) => {
    if (!isPast) set(live.status, changed);
  });
  return {
    seats: {
      plan,
      status: new Uint8Array(plan.count),
      areas: live.areas,
      version,
      isLive: live.isLive,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      open: () => () => {},
    },
    statusOf: (seat) => shown[seat] as number,
    counts() {
      const counts = [0, 0, 0, 0];
      for (const status of shown) counts[status]! += 1;
      return counts;
    },
    show(past) {
      isPast = past !== null;
      const from = past ?? live.status;
      const changed: number[] = [];
      for (let seat = 0; seat < shown.length; seat++) if (shown[seat] !== from[seat]) changed.push(seat);
      if (changed.length > 0) set(from, changed.length > shown.length / 4 ? null : changed);
    },
    end: stop,
  };
}
