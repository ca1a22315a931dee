// The seat map as a picture: look around by pointer, fingers, wheel or buttons, and choose a seat by a tap.
//
// It is hidden from readers who don't see it: `SeatList.tsx` beside it has the same seats for everyone.
import { effect, type ReadonlySignal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { FREE, type Seats } from "./feed";
import { isWithin } from "./plan";
import { Painter, type Choice, type Drawing, type Look } from "./painter";
import { SeatIndex, View } from "./view";

export interface SeatMapTexts {
  zoomIn: string;
  zoomOut: string;
  whole: string;
  move: string;
  left: string;
  right: string;
  up: string;
  down: string;
  stage: string;
}

/** What another part of the page has the map show. */
export type Sight = { section: number } | { seat: number } | null;

/** From this scale on a tap chooses a seat; before, it comes nearer. */
const TAP_SCALE = 16;
/** More pixels than this of a screen's aren't seen, and cost. */
const RATIO_MAX = 2;
/** A pointer that moved less was a tap, in pixels. */
const TAP_PIXELS = 8;

export function SeatMap(props: {
  seats: Seats;
  /** By a grade's place in the plan. */
  colours: string[];
  drawing?: Drawing;
  choice: ReadonlySignal<Choice>;
  /** What is brought into sight when it changes. */
  sight: ReadonlySignal<Sight>;
  onPick: (seat: number) => void;
  /** A tap on an area, by its place in the plan. */
  onArea?: (area: number) => void;
  onPoint: (seat: number | null) => void;
  /** What is said of the seat under the pointer. */
  describe: (seat: number) => ComponentChildren;
  texts: SeatMapTexts;
  nameOf: (floor: string, section: string) => string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const map = useRef<Map | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const tip = useSignal<{ seat: number; left: number; top: number } | null>(null);
  const bounds = useSignal({ isFitted: true, isNearest: false });

  useEffect(() => {
    const own = new Map(
      canvas.current as HTMLCanvasElement,
      latest,
      (seat, left, top) => {
        tip.value = seat === null ? null : { seat, left, top };
      },
      (now) => {
        if (now.isFitted !== bounds.value.isFitted || now.isNearest !== bounds.value.isNearest) bounds.value = now;
      },
    );
    map.current = own;
    return () => own.end();
  }, [props.seats]);
  useEffect(() => map.current?.redress(), [props.texts, props.nameOf]);

  const { texts } = props;
  const { isFitted, isNearest } = bounds.value;
  const tools: [label: string, sign: string, act: (map: Map) => void, isOff?: boolean][] = [
    [texts.zoomIn, "M5 12h14M12 5v14", (map) => map.zoom(1.6), isNearest],
    [texts.zoomOut, "M5 12h14", (map) => map.zoom(1 / 1.6), isFitted],
    [texts.whole, "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5", (map) => map.fit(), isFitted],
  ];
  if (!isFitted)
    tools.push(
      [texts.left, "M15 5l-7 7 7 7", (map) => map.step(1, 0)],
      [texts.right, "M9 5l7 7-7 7", (map) => map.step(-1, 0)],
      [texts.up, "M5 15l7-7 7 7", (map) => map.step(0, 1)],
      [texts.down, "M5 9l7 7 7-7", (map) => map.step(0, -1)],
    );
  return (
    <div class="map">
      <canvas ref={canvas} aria-hidden="true" />
      {tip.value && (
        <div
          class="tip"
          aria-hidden="true"
          ref={(own) => {
            if (!own || !tip.value) return;
            own.style.left = `${tip.value.left}px`;
            own.style.top = `${tip.value.top}px`;
          }}
        >
          {props.describe(tip.value.seat)}
        </div>
      )}
      <div class="map-tools" role="group" aria-label={texts.move}>
        {tools.map(([label, sign, act, isOff]) => (
          <button
            key={sign}
            type="button"
            aria-label={label}
            aria-disabled={isOff}
            onClick={() => map.current && act(map.current)}
          >
            <Sign d={sign} />
          </button>
        ))}
      </div>
    </div>
  );
}

function Sign(props: { d: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      width="20"
      height="20"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={props.d} />
    </svg>
  );
}

/** The picture and the hands on it. */
class Map {
  private readonly view: View;
  private readonly index: SeatIndex;
  private readonly painter: Painter;
  private readonly ends: (() => void)[] = [];
  private frame = 0;
  private motion: (() => void) | null = null;
  private readonly pointers = new globalThis.Map<number, { x: number; y: number }>();
  private moved = 0;
  private wheeledAt = -Infinity;
  private rest: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly props: { readonly current: Parameters<typeof SeatMap>[0] },
    private readonly tip: (seat: number | null, left: number, top: number) => void,
    private readonly told: (bounds: { isFitted: boolean; isNearest: boolean }) => void,
  ) {
    const { seats } = props.current;
    this.view = new View(seats.plan.bounds);
    this.index = new SeatIndex(seats.plan);
    this.painter = new Painter(canvas, seats.plan, this.index, seats.status, this.look(), props.current.drawing);
    this.redress();

    const sized = new ResizeObserver(() => {
      const { width, height } = canvas.getBoundingClientRect();
      this.view.resize(Math.max(1, width), Math.max(1, height));
      this.paint();
    });
    sized.observe(canvas);
    this.ends.push(() => sized.disconnect());

    this.ends.push(
      seats.onChange((changed) => {
        this.painter.changed(changed);
        this.paint();
      }),
      effect(() => {
        void props.current.choice.value;
        this.paint();
      }),
      effect(() => this.show(props.current.sight.value)),
    );

    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      const media = matchMedia(query);
      const recolour = () => {
        this.painter.recolour(this.look());
        this.paint();
      };
      media.addEventListener("change", recolour);
      this.ends.push(() => media.removeEventListener("change", recolour));
    }

    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      hear: (event: HTMLElementEventMap[K]) => void,
      options?: AddEventListenerOptions,
    ) => canvas.addEventListener(name, hear, options);
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event, true));
    on("pointercancel", (event) => this.up(event, false));
    on("pointerleave", () => this.point(null));
    on("wheel", (event) => this.wheel(event), { passive: false });
  }

  end(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    for (const end of this.ends) end();
  }

  /** Takes words anew, as after a change of the language. */
  redress(): void {
    this.painter.stageName = this.props.current.texts.stage;
    this.painter.nameOf = this.props.current.nameOf;
    this.paint();
  }

  zoom(factor: number): void {
    const from = this.view.scale;
    this.animate((part) => this.view.zoom((from * factor ** part) / this.view.scale));
  }

  fit(): void {
    this.zoom(this.view.fitting / this.view.scale);
  }

  step(right: number, down: number): void {
    const [width, height] = [this.view.width / 3, this.view.height / 3];
    let done = 0;
    this.animate((part) => {
      this.view.pan(right * width * (part - done), down * height * (part - done));
      done = part;
    });
  }

  private show(sight: Sight): void {
    if (!sight) return;
    const { plan } = this.props.current.seats;
    if ("seat" in sight) {
      const [x, y] = [plan.x[sight.seat]!, plan.y[sight.seat]!];
      const [left, top] = [x * this.view.scale + this.view.left, y * this.view.scale + this.view.top];
      const isSeen = left > 30 && top > 30 && left < this.view.width - 30 && top < this.view.height - 30;
      if (isSeen && this.view.scale >= TAP_SCALE) return;
      return this.glide(x, y, Math.max(this.view.scale, 24));
    }
    const section = plan.sections[sight.section];
    if (!section) return;
    let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const row of plan.rows.slice(section.firstRow, section.firstRow + section.rowCount)) {
      for (let seat = row.first; seat < row.first + row.count; seat++) {
        [x0, y0, x1, y1] = [
          Math.min(x0, plan.x[seat]!),
          Math.min(y0, plan.y[seat]!),
          Math.max(x1, plan.x[seat]!),
          Math.max(y1, plan.y[seat]!),
        ];
      }
    }
    this.glide((x0 + x1) / 2, (y0 + y1) / 2, Math.min(this.view.width / (x1 - x0 + 4), this.view.height / (y1 - y0 + 4)));
  }

  private glide(x: number, y: number, scale: number): void {
    const from = this.view.scale;
    const [fromX, fromY] = this.view.toPlan(this.view.width / 2, this.view.height / 2);
    this.animate((part) =>
      this.view.centre(fromX + (x - fromX) * part, fromY + (y - fromY) * part, from * (scale / from) ** part),
    );
  }

  /** Moves over a moment, or at once for who wants no motion. */
  private animate(step: (part: number) => void): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || this.view.width <= 1) {
      step(1);
      return this.paint();
    }
    const beganAt = performance.now();
    this.motion = () => {
      const time = Math.min(1, (performance.now() - beganAt) / 260);
      step(1 - (1 - time) ** 3);
      if (time === 1) this.motion = null;
    };
    this.paint();
  }

  private paint(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.motion?.();
      const choice = this.props.current.choice.peek();
      this.painter.hidden = choice.chosen;
      const isMoving = this.motion !== null || this.pointers.size > 0 || performance.now() - this.wheeledAt < 150;
      this.painter.paint(this.view, Math.min(RATIO_MAX, devicePixelRatio || 1), choice, isMoving);
      // Once it rests it is drawn as well as it can be.
      clearTimeout(this.rest);
      if (isMoving) this.rest = setTimeout(() => this.paint(), 180);
      this.told({ isFitted: this.view.isFitted, isNearest: this.view.isNearest });
      if (this.motion) this.paint();
    });
  }

  private look(): Look {
    const style = getComputedStyle(this.canvas);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    if (matchMedia("(forced-colors: active)").matches) {
      const grades = this.props.current.colours.map(() => "LinkText");
      return {
        paper: "Canvas",
        ink: "CanvasText",
        soft: "CanvasText",
        line: "Canvas",
        taken: "GrayText",
        accent: "Highlight",
        onAccent: "HighlightText",
        font: style.fontFamily,
        grades,
      };
    }
    return {
      paper: colour("--paper"),
      ink: colour("--ink"),
      soft: colour("--soft"),
      line: colour("--line"),
      taken: colour("--edge"),
      accent: colour("--accent"),
      onAccent: colour("--on-accent"),
      font: style.fontFamily,
      grades: this.props.current.colours,
    };
  }

  private here(event: MouseEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private down(event: PointerEvent): void {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.here(event));
    if (this.pointers.size === 1) this.moved = 0;
    this.motion = null;
  }

  private move(event: PointerEvent): void {
    const at = this.here(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") this.point(at);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    const other = others[0]?.[1];
    if (other) {
      // Two fingers: what is between them stays between them.
      const apart = (a: { x: number; y: number }) => Math.hypot(a.x - other.x, a.y - other.y) || 1;
      this.view.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
      this.view.zoom(apart(at) / apart(before), (at.x + other.x) / 2, (at.y + other.y) / 2);
      this.moved = Infinity;
    } else {
      this.moved += Math.hypot(at.x - before.x, at.y - before.y);
      if (this.moved > TAP_PIXELS) this.view.pan(at.x - before.x, at.y - before.y);
    }
    this.pointers.set(event.pointerId, at);
    if (this.moved > TAP_PIXELS) this.point(null);
    this.paint();
  }

  private up(event: PointerEvent, isTap: boolean): void {
    const was = this.pointers.delete(event.pointerId);
    this.paint();
    if (!was || !isTap || this.moved > TAP_PIXELS) return;
    this.moved = Infinity;
    const at = this.here(event);
    const seat = this.seatAt(at);
    const area = seat === null ? this.areaAt(at) : -1;
    if (area >= 0) return this.props.current.onArea?.(area);
    if (this.view.scale < TAP_SCALE && !(event.pointerType === "mouse" && this.view.scale >= 9)) {
      const [x, y] = this.view.toPlan(at.x, at.y);
      return this.glide(x, y, Math.max(24, this.view.scale * 2.5));
    }
    if (seat !== null) this.props.current.onPick(seat);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const at = this.here(event);
    // A pad's pinch comes as a wheel with Control.
    const speed = event.ctrlKey ? 0.012 : event.deltaMode === 1 ? 0.05 : 0.0018;
    this.motion = null;
    this.wheeledAt = performance.now();
    this.view.zoom(Math.exp(-event.deltaY * speed), at.x, at.y);
    this.point(at);
    this.paint();
  }

  private seatAt(at: { x: number; y: number }): number | null {
    // A finger needs 24 pixels: half of that beside a seat still is the seat.
    const reach = Math.max(0.6, 12 / this.view.scale);
    return this.index.nearest(...this.view.toPlan(at.x, at.y), Math.min(reach, 1.2));
  }

  private areaAt(at: { x: number; y: number }): number {
    const place = this.view.toPlan(at.x, at.y);
    return this.props.current.seats.plan.areas.findIndex(({ outline }) => outline && isWithin(outline, ...place));
  }

  private point(at: { x: number; y: number } | null): void {
    const seat = at && this.view.scale >= 9 ? this.seatAt(at) : null;
    const { plan, status } = this.props.current.seats;
    this.props.current.onPoint(seat);
    this.canvas.style.cursor =
      seat !== null && (status[seat] === FREE || this.props.current.choice.peek().chosen.has(seat)) ? "pointer" : "grab";
    if (seat === null) return this.tip(null, 0, 0);
    this.tip(seat, plan.x[seat]! * this.view.scale + this.view.left, (plan.y[seat]! - 0.6) * this.view.scale + this.view.top);
  }
}
