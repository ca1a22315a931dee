// The phases of a sale before it is general: which is on, what comes next, and when.
import type { Schedule, Schemas } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, day, time, type Zone } from "../base/language";
import type { SaleStatus } from "./parts";
import { t } from "./texts";

export type Phase = Schemas["Phase"];

export const phasesOf = (schedule: Schedule): Phase[] =>
  [...(schedule.policy.phases ?? [])].sort((a, b) => Date.parse(a.opensAt) - Date.parse(b.opensAt));

/** The instants at which a sale passes from one phase to another: what was read before one of them is old. */
export function turnsOf(schedule: Schedule): number[] {
  const phases = phasesOf(schedule).flatMap(({ opensAt, closesAt }) => [opensAt, closesAt]);
  return [...phases, schedule.salesOpenAt, schedule.salesCloseAt ?? schedule.startsAt].flatMap((at) => (at ? [Date.parse(at)] : []));
}

/** A phase, or the general sale behind them. */
export interface Stage {
  phase: Phase | null;
  opensAt: string | null;
  closesAt: string;
}

type StageState = "over" | "on" | "next" | "later" | "never";

/** Every stage of a sale in order, and how it stands. */
export function stagesOf(schedule: Schedule, status: SaleStatus): { stage: Stage; state: StageState }[] {
  const phases: Stage[] = phasesOf(schedule).map((phase) => ({ phase, opensAt: phase.opensAt, closesAt: phase.closesAt }));
  const general: Stage = { phase: null, opensAt: schedule.salesOpenAt, closesAt: schedule.salesCloseAt ?? schedule.startsAt };
  const isGeneral = status === "open" && !schedule.phase;
  let hasNext = false;
  return [...phases, general].map((stage) => {
    const isOn = status === "open" && (stage.phase?.phaseId ?? null) === (schedule.phase ?? null);
    if (isOn) return { stage, state: "on" as const };
    if (Date.parse(stage.closesAt) <= now.value || (stage.phase === null && status === "closed")) return { stage, state: "over" as const };
    // Who opened or closed the sale by hand did so for everyone: the clock opens no phase of it any more.
    if (isGeneral || status === "closed" || status === "cancelled") return { stage, state: "never" as const };
    const state = hasNext || stage.opensAt === null ? ("later" as const) : ("next" as const);
    hasNext = true;
    return { stage, state };
  });
}

/** Beyond a day a date says more than a count of hours. */
const COUNTED_SECONDS = 86_400;

/** Says how long it is until an instant, or which day that is. */
export function until(at: string, zone: Zone): string {
  const seconds = secondsUntil(at);
  return seconds < COUNTED_SECONDS ? t.value.inTime(clock(seconds)) : `${day(at, zone)} ${time(at, zone)}`;
}

export const nameOf = ({ phase }: Stage) => phase?.name ?? t.value.generalSale;

/** What is on now and until when, or what comes next: a line beside the sale's status. */
export function PhaseNow(props: { schedule: Schedule; status: SaleStatus; zone: Zone }) {
  const { schedule, status, zone } = props;
  if (phasesOf(schedule).length === 0) return null;
  const stages = stagesOf(schedule, status);
  const on = stages.find(({ state }) => state === "on")?.stage;
  const next = stages.find(({ state }) => state === "next")?.stage;
  if (on) {
    return (
      <span id="phase-now">
        <b>{nameOf(on)}</b> <span class="soft">{t.value.endsAt(until(on.closesAt, zone))}</span>
      </span>
    );
  }
  return next?.opensAt ? (
    <span id="phase-now">
      {t.value.nextIs(nameOf(next))} <span class="soft">{until(next.opensAt, zone)}</span>
    </span>
  ) : null;
}
