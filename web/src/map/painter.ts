// Draws a plan: far away one picture of all seats, near by each seat that is seen, copied from a picture of its kind.
//
// A seat's status is its shape: free ones are full, those that someone holds or has are small crosses, the reader's own have a ring and a tick.
import { FREE } from "./feed";
import { MARK, type Plan } from "./plan";
import type { SeatIndex, View } from "./view";

/** The colours that a page gives the map. */
export interface Look {
  paper: string;
  ink: string;
  soft: string;
  line: string;
  taken: string;
  accent: string;
  onAccent: string;
  font: string;
  /** By a grade's place in the plan. */
  grades: string[];
}

/** How a page draws seats that aren't taken, where a grade's colour alone wouldn't tell them apart. */
export interface Drawing {
  /** Draws a seat one unit wide. `box` traces its form: all of its size, or less. */
  draw(context: CanvasRenderingContext2D, grade: number, look: Look, box: (size: number) => void): void;
  /** The colour of a number on it; null for no number. */
  ink(grade: number, look: Look): string | null;
}

/** What the reader does with the seats. */
export interface Choice {
  chosen: ReadonlySet<number>;
  /** Only this grade matters; null for all. */
  grade: number | null;
  /** Only seats with one of these `MARK` bits matter; all if absent. */
  marks?: number;
  /** The seat under the pointer or the focus. */
  at: number | null;
}

/** Whether a seat is among those that matter to the reader. */
export function isMeant(plan: Plan, seat: number, { grade, marks = 0 }: Omit<Choice, "chosen" | "at">): boolean {
  return (grade === null || plan.grade[seat] === grade) && (marks === 0 || (plan.marks[seat]! & marks) !== 0);
}

/** Below this scale single seats aren't drawn, but the picture of all. */
const NEAR = 9;
/** From this scale on rows show their names. */
const ROWS_NAMED = 14;
/** From this scale on a seat shows its number. */
const NUMBERED = 22;
/** A seat's width, of its unit. */
export const SIZE = 0.8;
/** The most pixels of the picture of all seats: what phones can keep. */
const PICTURE_PIXELS = 4_000_000;

export class Painter {
  private readonly context: CanvasRenderingContext2D;
  private picture: HTMLCanvasElement | null = null;
  private pictureScale = 1;
  private pictureOf = "";
  private readonly sprites = new Map<string, HTMLCanvasElement>();
  private spriteScale = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly plan: Plan,
    private readonly index: SeatIndex,
    private readonly status: Uint8Array,
    public look: Look,
    private readonly drawing: Drawing | null = null,
  ) {
    this.context = canvas.getContext("2d") as CanvasRenderingContext2D;
  }

  /** Forgets what was drawn in other colours. */
  recolour(look: Look): void {
    this.look = look;
    this.picture = null;
    this.sprites.clear();
  }

  /** Draws seats anew in the picture of all; null for every seat. */
  changed(seats: readonly number[] | null): void {
    if (!this.picture) return;
    if (seats === null) {
      this.picture = null;
      return;
    }
    const context = this.picture.getContext("2d") as CanvasRenderingContext2D;
    const size = this.pictureScale;
    for (const seat of seats) {
      const [x, y] = this.inPicture(seat);
      context.clearRect(x - size / 2, y - size / 2, size, size);
      this.dot(context, seat, x, y, size, this.pictured);
    }
  }

  /** Draws everything. `isMoving` says that more frames follow at once. */
  paint(view: View, ratio: number, choice: Choice, isMoving: boolean): void {
    const { canvas, context } = this;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.left, ratio * view.top);

    this.surroundings(view);
    if (view.scale < NEAR) this.far(choice, isMoving);
    else this.near(view, ratio, choice, isMoving);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.names(view);
  }

  private surroundings(view: View): void {
    const { context, plan, look } = this;
    const trace = (outline: Float32Array) => {
      context.beginPath();
      for (let i = 0; i < outline.length; i += 2) context.lineTo(outline[i]!, outline[i + 1]!);
      context.closePath();
    };
    context.lineWidth = 1 / view.scale;
    for (const { outline } of plan.sections) {
      if (!outline) continue;
      trace(outline);
      context.strokeStyle = look.line;
      context.stroke();
    }
    for (const { outline, grade } of plan.areas) {
      if (!outline) continue;
      trace(outline);
      context.globalAlpha = 0.16;
      context.fillStyle = look.grades[grade] ?? look.ink;
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = look.soft;
      context.stroke();
    }
    if (plan.stage) {
      trace(plan.stage);
      context.fillStyle = look.line;
      context.fill();
      context.strokeStyle = look.soft;
      context.stroke();
    }
  }

  private pictured: Choice = { chosen: new Set(), grade: null, at: null };

  private inPicture(seat: number): [number, number] {
    const { x0, y0 } = this.plan.bounds;
    return [(this.plan.x[seat]! - x0) * this.pictureScale, (this.plan.y[seat]! - y0) * this.pictureScale];
  }

  private far(choice: Choice, isMoving: boolean): void {
    const { plan, context } = this;
    const { x0, y0, x1, y1 } = plan.bounds;
    const name = `${choice.grade} ${choice.marks}`;
    if (!this.picture || this.pictureOf !== name) {
      const [width, height] = [x1 - x0, y1 - y0];
      this.pictureScale = Math.max(2, Math.min(NEAR * 1.5, Math.sqrt(PICTURE_PIXELS / (width * height))));
      this.picture = document.createElement("canvas");
      this.picture.width = Math.ceil(width * this.pictureScale);
      this.picture.height = Math.ceil(height * this.pictureScale);
      [this.pictureOf, this.pictured] = [name, choice];
      const all = this.picture.getContext("2d") as CanvasRenderingContext2D;
      for (let seat = 0; seat < plan.count; seat++) {
        const [x, y] = this.inPicture(seat);
        this.dot(all, seat, x, y, this.pictureScale, choice);
      }
    }
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = isMoving ? "low" : "high";
    context.drawImage(this.picture, x0, y0, this.picture.width / this.pictureScale, this.picture.height / this.pictureScale);
    const marked = choice.at === null ? choice.chosen : new Set([...choice.chosen, choice.at]);
    for (const seat of marked) {
      context.beginPath();
      context.arc(plan.x[seat]!, plan.y[seat]!, 0.75, 0, 7);
      context.fillStyle = this.look.accent;
      context.fill();
      context.lineWidth = 0.25;
      context.strokeStyle = this.look.paper;
      context.stroke();
    }
  }

  /** A seat from far away: full if it is free, a small dot if not. */
  private dot(context: CanvasRenderingContext2D, seat: number, x: number, y: number, unit: number, choice: Choice): void {
    const own = this.plan.grade[seat]!;
    const isFree = this.status[seat] === FREE;
    const size = unit * (isFree ? SIZE : 0.34);
    context.globalAlpha = isMeant(this.plan, seat, choice) ? 1 : 0.2;
    if (isFree && this.drawing) {
      context.setTransform(unit, 0, 0, unit, x - unit / 2, y - unit / 2);
      this.drawing.draw(context, own, this.look, (size) => {
        context.beginPath();
        context.rect(0.5 - size / 2, 0.5 - size / 2, size, size);
      });
      context.resetTransform();
      context.globalAlpha = 1;
      return;
    }
    context.fillStyle = isFree ? (this.look.grades[own] ?? this.look.ink) : this.look.taken;
    context.fillRect(x - size / 2, y - size / 2, size, size);
    context.globalAlpha = 1;
  }

  private near(view: View, ratio: number, choice: Choice, isMoving: boolean): void {
    const { plan, context } = this;
    // Sprites are drawn anew where a zoom ends; while it goes on, those of before are stretched.
    const scale = view.scale * ratio;
    if (scale !== this.spriteScale && (!isMoving || scale > this.spriteScale * 1.3 || scale < this.spriteScale / 1.3)) {
      this.spriteScale = scale;
      this.sprites.clear();
    }
    const size = Math.max(4, Math.round(scale));
    const half = 0.5;
    const [x0, y0] = view.toPlan(0, 0);
    const [x1, y1] = view.toPlan(view.width, view.height);
    context.setTransform(1, 0, 0, 1, 0, 0);
    this.index.within(x0 - 1, y0 - 1, x1 + 1, y1 + 1, (seat) => {
      const dimmed = !isMeant(plan, seat, choice) && !choice.chosen.has(seat);
      const kind = choice.chosen.has(seat) ? "chosen" : this.status[seat] === FREE ? "free" : "taken";
      const sprite = this.sprite(kind, plan.grade[seat]!, plan.marks[seat]!);
      context.globalAlpha = dimmed ? 0.2 : 1;
      // On whole pixels, so that edges stay sharp.
      const left = Math.round(ratio * view.left + plan.x[seat]! * scale - size / 2);
      const top = Math.round(ratio * view.top + plan.y[seat]! * scale - size / 2);
      context.drawImage(sprite, left, top, size, size);
    });
    context.globalAlpha = 1;
    context.setTransform(scale, 0, 0, scale, ratio * view.left, ratio * view.top);

    if (choice.at !== null) {
      context.beginPath();
      context.roundRect(plan.x[choice.at]! - half, plan.y[choice.at]! - half, 1, 1, 0.28);
      context.lineWidth = 2 / view.scale;
      context.strokeStyle = this.look.ink;
      context.stroke();
    }
  }

  /** The picture of a seat of a kind and grade, one unit wide. Accessible seats are round, those with a restricted view have a corner less. */
  private sprite(kind: "free" | "taken" | "chosen", grade: number, marks: number): HTMLCanvasElement {
    const name = kind === "taken" ? kind : `${kind} ${grade} ${marks}`;
    const known = this.sprites.get(name);
    if (known) return known;

    const sprite = document.createElement("canvas");
    const unit = Math.max(4, Math.round(this.spriteScale));
    sprite.width = sprite.height = unit;
    const context = sprite.getContext("2d") as CanvasRenderingContext2D;
    context.scale(unit, unit);
    const box = (size: number, corner: number) => {
      context.beginPath();
      const from = 0.5 - size / 2;
      if (marks & (MARK.accessible | MARK.companion)) context.arc(0.5, 0.5, size / 2, 0, 7);
      else if (marks & MARK.restrictedView) {
        context.moveTo(from, from);
        context.lineTo(from + size * 0.5, from);
        context.lineTo(from + size, from + size * 0.5);
        context.lineTo(from + size, from + size);
        context.lineTo(from, from + size);
        context.closePath();
      } else context.roundRect(from, from, size, size, corner);
    };
    if (kind === "taken") {
      context.beginPath();
      context.moveTo(0.34, 0.34);
      context.lineTo(0.66, 0.66);
      context.moveTo(0.66, 0.34);
      context.lineTo(0.34, 0.66);
      context.lineWidth = 0.1;
      context.lineCap = "round";
      context.strokeStyle = this.look.taken;
      context.globalAlpha = 0.7;
      context.stroke();
    } else if (kind === "free" && this.drawing) {
      this.drawing.draw(context, grade, this.look, (size) => box(size, 0.22));
    } else if (kind === "free") {
      box(SIZE, 0.22);
      context.fillStyle = this.look.grades[grade] ?? this.look.ink;
      context.fill();
    } else {
      box(0.96, 0.28);
      context.fillStyle = this.look.ink;
      context.fill();
      context.beginPath();
      context.moveTo(0.28, 0.52);
      context.lineTo(0.44, 0.68);
      context.lineTo(0.73, 0.34);
      context.lineWidth = 0.12;
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = this.look.paper;
      context.stroke();
    }
    this.sprites.set(name, sprite);
    return sprite;
  }

  /** The stage's and the sections' names from far away, rows and numbers near by. */
  private names(view: View): void {
    const { context, plan, look } = this;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const place = (x: number, y: number): [number, number] => [x * view.scale + view.left, y * view.scale + view.top];

    if (plan.stage) {
      let [x, y] = [0, 0];
      for (let i = 0; i < plan.stage.length; i += 2) [x, y] = [x + plan.stage[i]!, y + plan.stage[i + 1]!];
      const corners = plan.stage.length / 2;
      context.font = `600 ${Math.max(11, Math.min(18, view.scale * 1.6))}px ${look.font}`;
      context.fillStyle = look.soft;
      context.fillText(this.stageName, ...place(x / corners, y / corners));
    }

    context.font = `700 ${Math.round(Math.max(12, Math.min(18, view.scale * 2)))}px ${look.font}`;
    context.fillStyle = look.ink;
    for (const { outline, name } of plan.areas) {
      if (!outline) continue;
      let [x, y] = [0, 0];
      for (let i = 0; i < outline.length; i += 2) [x, y] = [x + outline[i]!, y + outline[i + 1]!];
      const corners = outline.length / 2;
      context.fillText(name, ...place(x / corners, y / corners));
    }

    if (view.scale < NEAR) {
      context.font = `700 ${Math.round(Math.max(11, Math.min(16, view.scale * 2.4)))}px ${look.font}`;
      context.lineJoin = "round";
      context.lineWidth = 4;
      for (const section of plan.sections) {
        const at = place(section.x, section.y);
        if (at[0] < -80 || at[0] > view.width + 80 || at[1] < -20 || at[1] > view.height + 20) continue;
        // A name that doesn't fit its section is left to the list.
        const room = section.width * view.scale + 8;
        const name = [this.nameOf(section.floor, section.id), section.id].find((name) => this.widthOf(name) <= room);
        if (!name) continue;
        context.strokeStyle = look.paper;
        context.strokeText(name, ...at);
        context.fillStyle = look.ink;
        context.fillText(name, ...at);
      }
      return;
    }

    context.font = `600 ${Math.max(9, Math.min(14, view.scale * 0.5))}px ${look.font}`;
    context.fillStyle = look.soft;
    for (const row of view.scale < ROWS_NAMED ? [] : plan.rows) {
      const last = row.first + row.count - 1;
      for (const [seat, step] of [
        [row.first, -0.9],
        [last, 0.9],
      ] as const) {
        const [left, top] = place(plan.x[seat]! + step, plan.y[seat]!);
        if (left > -20 && left < view.width + 20 && top > -20 && top < view.height + 20) context.fillText(row.label, left, top);
      }
    }

    if (view.scale < NUMBERED) {
      context.font = `700 13px ${look.font}`;
      context.fillStyle = look.ink;
      for (const section of plan.sections) {
        const { first, count } = plan.rows[section.firstRow]!;
        const [left, right] = [first, first + count - 1];
        const top = Math.min(plan.y[left]!, plan.y[right]!, plan.y[(left + right) >> 1]!);
        const [x, y] = place((plan.x[left]! + plan.x[right]!) / 2, top - 0.5);
        context.fillText(this.nameOf(section.floor, section.id), x, y - 11);
      }
      return;
    }
    context.font = `600 ${view.scale * 0.36}px ${look.font}`;
    const [x0, y0] = view.toPlan(0, 0);
    const [x1, y1] = view.toPlan(view.width, view.height);
    this.index.within(x0, y0, x1, y1, (seat) => {
      if (this.status[seat] !== FREE || this.hidden?.has(seat)) return;
      const grade = plan.grade[seat]!;
      const ink = this.drawing ? this.drawing.ink(grade, look) : inkOn(look.grades[grade] ?? look.ink);
      if (ink === null) return;
      context.fillStyle = ink;
      context.fillText(plan.numbers[seat]!, ...place(plan.x[seat]!, plan.y[seat]!));
    });
  }

  private readonly widths = new Map<string, number>();

  /** The width of a name in the font that is set. */
  private widthOf(name: string): number {
    const key = `${this.context.font} ${name}`;
    let width = this.widths.get(key);
    if (width === undefined) {
      if (this.widths.size > 2_000) this.widths.clear();
      this.widths.set(key, (width = this.context.measureText(name).width));
    }
    return width;
  }

  /** Words that a page sets. */
  stageName = "";
  nameOf: (floor: string, section: string) => string = (floor, section) => `${floor} ${section}`;
  /** Seats that show no number: the chosen ones have a tick. */
  hidden: ReadonlySet<number> | null = null;
}

const inks = new Map<string, string>();

/** Black or white, whichever is read better on a colour. */
export function inkOn(colour: string): string {
  const known = inks.get(colour);
  if (known) return known;
  const context = document.createElement("canvas").getContext("2d") as CanvasRenderingContext2D;
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  const linear = (part: number) => ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = 0.2126 * linear(red!) + 0.7152 * linear(green!) + 0.0722 * linear(blue!);
  const ink = light > 0.18 ? "#000" : "#fff";
  inks.set(colour, ink);
  return ink;
}
