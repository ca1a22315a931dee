// The time that is left, by the server's clock.
import { useEffect, useRef } from "preact/hooks";
import { now, secondsUntil } from "../base/clock";
import { clock } from "../base/language";
import { announce } from "../base/live";
import { t } from "./texts";
import { useAt } from "./data";

/** Counts down to an instant. It is said aloud a minute and a quarter of a minute before. */
export function Deadline(props: {
  at: string;
  /** How long there is in all. */ seconds: number;
  label: string;
  onOver: () => void;
}) {
  // The clocks are known to some milliseconds at best, and nobody has more time than there is.
  const left = Math.min(props.seconds, secondsUntil(props.at, now.value));
  const before = useRef(Infinity);
  useEffect(() => {
    for (const mark of [60, 15])
      if (before.current > mark && left <= mark && left > mark - 5) announce(t.value.secondsLeft(left));
    before.current = left;
  }, [left]);
  useAt(Date.parse(props.at) + 150, props.onOver);
  const part = Math.min(1, left / Math.max(1, props.seconds));
  return (
    <div class={`deadline ${left <= 15 ? "urgent" : ""}`}>
      <p>
        {props.label} <strong role="timer">{clock(left)}</strong>
      </p>
      <div class="deadline-bar" aria-hidden="true" ref={(own) => own?.style.setProperty("--part", String(part))} />
    </div>
  );
}
