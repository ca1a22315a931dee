// What of a plan is seen: a scale and an offset, in CSS pixels.
import type { Plan } from "./plan";

/** A seat is at most so many pixels wide. */
const SCALE_MAX = 44;

export class View {
  width = 1;
  height = 1;
  /** Pixels a unit. */
  scale = 1;
  /** Where the plan's origin is, in pixels. */
  left = 0;
  top = 0;

  constructor(private readonly bounds: Plan["bounds"]) {}

  /** The scale at which everything is seen. */
  get fitting(): number {
    const { x0, y0, x1, y1 } = this.bounds;
    return Math.min(SCALE_MAX, this.width / (x1 - x0 + 1), this.height / (y1 - y0 + 1));
  }

  get isFitted(): boolean {
    return this.scale <= this.fitting * 1.001;
  }

  get isNearest(): boolean {
    return this.scale >= SCALE_MAX * 0.999;
  }

  resize(width: number, height: number): void {
    const [middleX, middleY] = this.toPlan(this.width / 2, this.height / 2);
    const wasFitted = this.isFitted || this.width === 1;
    [this.width, this.height] = [width, height];
    if (wasFitted) this.fit();
    else this.centre(middleX, middleY);
  }

  fit(): void {
    this.scale = this.fitting;
    const { x0, y0, x1, y1 } = this.bounds;
    this.centre((x0 + x1) / 2, (y0 + y1) / 2);
  }

  toPlan(left: number, top: number): [number, number] {
    return [(left - this.left) / this.scale, (top - this.top) / this.scale];
  }

  /** Brings a place of the plan to the middle. */
  centre(x: number, y: number, scale = this.scale): void {
    this.scale = this.bounded(scale);
    this.left = this.width / 2 - x * this.scale;
    this.top = this.height / 2 - y * this.scale;
    this.keepIn();
  }

  /** Changes the scale, and keeps what is at a pixel there. */
  zoom(factor: number, left = this.width / 2, top = this.height / 2): void {
    const [x, y] = this.toPlan(left, top);
    this.scale = this.bounded(this.scale * factor);
    this.left = left - x * this.scale;
    this.top = top - y * this.scale;
    this.keepIn();
  }

  pan(right: number, down: number): void {
    this.left += right;
    this.top += down;
    this.keepIn();
  }

  private bounded(scale: number): number {
    return Math.min(SCALE_MAX, Math.max(this.fitting, scale));
  }

  /** The plan can't be pushed out of sight; what fits is centred. */
  private keepIn(): void {
    const { x0, y0, x1, y1 } = this.bounds;
    const within = (offset: number, from: number, to: number, room: number) => {
      const size = (to - from) * this.scale;
      if (size <= room) return (room - size) / 2 - from * this.scale;
      const margin = Math.min(60, room / 4);
      return Math.min(margin - from * this.scale, Math.max(room - margin - to * this.scale, offset));
    };
    this.left = within(this.left, x0, x1, this.width);
    this.top = within(this.top, y0, y1, this.height);
  }
}

/** Finds seats by place: a grid of cells with the seats in each. */
export class SeatIndex {
  private readonly columns: number;
  private readonly starts: Uint32Array;
  private readonly seats: Uint32Array;

  constructor(
    private readonly plan: Plan,
    /** The width of a cell, in units. */
    private readonly cell = 2,
  ) {
    const { x0, y0, x1, y1 } = plan.bounds;
    this.columns = Math.max(1, Math.ceil((x1 - x0) / cell));
    const lines = Math.max(1, Math.ceil((y1 - y0) / cell));
    this.starts = new Uint32Array(this.columns * lines + 1);
    const cellOf = (seat: number) => this.cellAt(plan.x[seat] as number, plan.y[seat] as number);
    for (let seat = 0; seat < plan.count; seat++) this.starts[cellOf(seat) + 1]! += 1;
    for (let i = 1; i < this.starts.length; i++) this.starts[i]! += this.starts[i - 1]!;
    const next = this.starts.slice();
    this.seats = new Uint32Array(plan.count);
    for (let seat = 0; seat < plan.count; seat++) this.seats[next[cellOf(seat)]!++] = seat;
  }

  private cellAt(x: number, y: number): number {
    const { x0, y0 } = this.plan.bounds;
    return Math.floor((y - y0) / this.cell) * this.columns + Math.floor((x - x0) / this.cell);
  }

  /** Calls back with each seat whose place is in a rectangle, or a little beside it. */
  within(x0: number, y0: number, x1: number, y1: number, found: (seat: number) => void): void {
    const { bounds } = this.plan;
    const column = (x: number) => Math.min(this.columns - 1, Math.max(0, Math.floor((x - bounds.x0) / this.cell)));
    const lines = (this.starts.length - 1) / this.columns;
    const line = (y: number) => Math.min(lines - 1, Math.max(0, Math.floor((y - bounds.y0) / this.cell)));
    for (let row = line(y0); row <= line(y1); row++) {
      const from = this.starts[row * this.columns + column(x0)]!;
      const to = this.starts[row * this.columns + column(x1) + 1]!;
      for (let i = from; i < to; i++) found(this.seats[i]!);
    }
  }

  /** Returns the seat nearest to a place, at most so far from it. */
  nearest(x: number, y: number, reach: number): number | null {
    let [nearest, apart] = [null as number | null, reach];
    this.within(x - reach, y - reach, x + reach, y + reach, (seat) => {
      const distance = Math.hypot((this.plan.x[seat] as number) - x, (this.plan.y[seat] as number) - y);
      if (distance <= apart) [nearest, apart] = [seat, distance];
    });
    return nearest;
  }
}
