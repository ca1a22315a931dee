// What happens to the seats of one sale by the second: counted from the changes of its map, from when its page is opened.
import { signal } from "@preact/signals";
import { FREE, HELD, RESERVED, type Seats } from "../map/feed";
import { serverNow } from "../base/clock";
import { Track } from "./watch";

const NAMES = ["sold", "held", "freed", "returned"] as const;

/** The changes of a sale's seats, by the second. */
export class Flow {
  readonly track = new Track(NAMES);
  readonly ticks = signal(0);
  private second = { sold: 0, held: 0, freed: 0, returned: 0 };
  private before: Uint8Array;
  private liveSince = Infinity;
  private readonly ends: (() => void)[] = [];

  constructor(private readonly seats: Seats) {
    this.before = seats.status.slice();
    this.ends.push(seats.onChange((changed) => this.count(changed)));
    // Each second has its row, so that a quiet one is seen as quiet.
    const timer = setInterval(() => this.tick(), 1000);
    this.ends.push(() => clearInterval(timer));
  }

  end(): void {
    for (const end of this.ends) end();
  }

  private count(changed: number[] | null): void {
    const { status } = this.seats;
    // After a lost line the first change is of all that happened meanwhile.
    const isFresh = performance.now() - this.liveSince > 1_500;
    const look = (seat: number) => {
      const [was, is] = [this.before[seat], status[seat]];
      this.before[seat] = is as number;
      if (!isFresh || was === is) return;
      if (is === RESERVED) this.second.sold += 1;
      else if (is === HELD) this.second.held += 1;
      else if (is === FREE && was === HELD) this.second.freed += 1;
      else if (was === RESERVED) this.second.returned += 1;
    };
    if (changed) changed.forEach(look);
    else for (let seat = 0; seat < status.length; seat++) look(seat);
  }

  private tick(): void {
    const isLive = this.seats.isLive.value;
    if (!isLive) this.liveSince = Infinity;
    else if (this.liveSince === Infinity) this.liveSince = performance.now();
    this.track.push(serverNow() / 1000, isLive ? this.second : {});
    this.second = { sold: 0, held: 0, freed: 0, returned: 0 };
    this.ticks.value += 1;
  }
}

/** How many seats of each grade have each status: by grade, then by status. */
export function byGrade(seats: Seats): number[][] {
  const counts = seats.plan.grades.map(() => [0, 0, 0, 0]);
  for (let seat = 0; seat < seats.plan.count; seat++) {
    const own = counts[seats.plan.grade[seat] as number];
    if (own) own[seats.status[seat] as number]! += 1;
  }
  return counts;
}

