// The phases of a sale before it is general: which is on, what comes next, and when. They stand in the schedule's policy, which the API
// changes; here they are shown.
import type { Schedule, Schemas } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, count, day, time, type Zone } from "../base/language";
import type { SaleStatus } from "./parts";
import type { Sale } from "./schedule";
import { t } from "./texts";

type Phase = Schemas["Phase"];

export const phasesOf = (schedule: Schedule): Phase[] =>
  [...(schedule.policy.phases ?? [])].sort((a, b) => Date.parse(a.opensAt) - Date.parse(b.opensAt));

/** The instants at which a sale passes from one phase to another: what was read before one of them is old. */
export function turnsOf(schedule: Schedule): number[] {
  const phases = phasesOf(schedule).flatMap(({ opensAt, closesAt }) => [opensAt, closesAt]);
  return [...phases, schedule.salesOpenAt, schedule.salesCloseAt ?? schedule.startsAt].flatMap((at) => (at ? [Date.parse(at)] : []));
}

/** A phase, or the general sale behind them. */
interface Stage {
  phase: Phase | null;
  opensAt: string | null;
  closesAt: string;
}

type StageState = "over" | "on" | "next" | "later" | "never";

/** Every stage of a sale in order, and how it stands. */
function stagesOf(schedule: Schedule, status: SaleStatus): { stage: Stage; state: StageState }[] {
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
function until(at: string, zone: Zone): string {
  const seconds = secondsUntil(at);
  return seconds < COUNTED_SECONDS ? t.value.inTime(clock(seconds)) : `${day(at, zone)} ${time(at, zone)}`;
}

const nameOf = ({ phase }: Stage) => phase?.name ?? t.value.generalSale;

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

/** All phases and the general sale, with what each sells. */
export function Phases(props: { sale: Sale; schedule: Schedule; status: SaleStatus }) {
  const { schedule, status } = props;
  const { zone } = props.sale;
  const at = (instant: string | null) => (instant ? <time dateTime={instant}>{`${day(instant, zone)} ${time(instant, zone)}`}</time> : t.value.byHand);
  return (
    <section class="phases" aria-labelledby="phases">
      <h2 id="phases">{t.value.phases}</h2>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">{t.value.phase}</th>
            <th scope="col">{t.value.state}</th>
            <th scope="col">{t.value.opens}</th>
            <th scope="col">{t.value.closes}</th>
            <th scope="col">{t.value.gradesSold}</th>
            <th scope="col" class="number">
              {t.value.seatsAUser}
            </th>
          </tr>
        </thead>
        <tbody>
          {stagesOf(schedule, status).map(({ stage, state }) => (
            <tr key={stage.phase?.phaseId ?? ""} class={`stage ${state}`}>
              <th scope="row">
                <b>{nameOf(stage)}</b> {stage.phase && <code class="id">{stage.phase.phaseId}</code>}
              </th>
              <td>
                <span class={`status ${state === "on" ? "open" : "upcoming"}`}>{t.value.stageState[state]}</span>{" "}
                {state === "on" && <span class="soft nowrap">{t.value.endsAt(until(stage.closesAt, zone))}</span>}
                {state === "next" && <span class="soft nowrap">{until(stage.opensAt as string, zone)}</span>}
              </td>
              <td class="nowrap" data-label={t.value.opens}>
                {at(stage.opensAt)}
              </td>
              <td class="nowrap" data-label={t.value.closes}>
                {at(stage.closesAt)}
              </td>
              <td data-label={t.value.gradesSold}>{stage.phase?.grades?.join(", ") ?? t.value.every}</td>
              <td class="number" data-label={t.value.seatsAUser}>
                {count(stage.phase?.maxSeatsPerUser ?? schedule.policy.maxSeatsPerUser)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="soft small">{phasesOf(schedule).length === 0 ? t.value.noPhases : t.value.phasesText}</p>
    </section>
  );
}
