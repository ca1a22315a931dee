// The phases of a sale: parts before it is general, for those who bring a code.
import type { Schedule, Schemas } from "../base/api";

export type Phase = Schemas["Phase"];
type Timed = Pick<Schedule, "status" | "phase" | "salesOpenAt" | "salesCloseAt" | "startsAt" | "policy">;

/** The phase that is open, as the server last said. */
export function openPhase({ phase, policy }: Timed): Phase | null {
  return policy.phases?.find(({ phaseId }) => phaseId === phase) ?? null;
}

/** The phases that are open or to come at an instant, in order. In the general sale, and after it, there are none. */
export function phasesAhead({ status, phase, policy }: Timed, now: number): Phase[] {
  if (status !== "upcoming" && phase == null) return [];
  const ahead = (policy.phases ?? []).filter(({ closesAt }) => Date.parse(closesAt) > now);
  return ahead.sort((a, b) => Date.parse(a.opensAt) - Date.parse(b.opensAt));
}

/** When something is sold next, in a phase or to everyone; null where nobody knows. */
export function nextOpening(schedule: Timed, now: number): { at: string; phase: Phase | null } | null {
  const phase = phasesAhead(schedule, now).find(({ opensAt }) => Date.parse(opensAt) > now);
  if (phase) return { at: phase.opensAt, phase };
  return schedule.salesOpenAt ? { at: schedule.salesOpenAt, phase: null } : null;
}

/** The next instant at which a sale opens or closes, in a phase or to everyone; null if none is ahead. */
export function nextChange(schedule: Timed, now: number): number | null {
  const { status, salesOpenAt, salesCloseAt, startsAt } = schedule;
  if (status !== "upcoming" && status !== "open") return null;
  const ofPhases = phasesAhead(schedule, now).flatMap(({ opensAt, closesAt }) => [opensAt, closesAt]);
  const general = status === "upcoming" || ofPhases.length > 0 ? [salesOpenAt] : [salesCloseAt, startsAt];
  // An instant that has just passed counts, too: its change may not have been read yet.
  const ahead = [...ofPhases, ...general].map((at) => (at ? Date.parse(at) : NaN)).filter((at) => at > now - 500);
  return ahead.length > 0 ? Math.min(...ahead) : null;
}
