// The phases before a sale is general, as a reader sees them.
import { now, secondsUntil } from "../base/clock";
import { clock, fullDay, time } from "../base/language";
import type { Sale } from "./data";
import { openPhase, phasesAhead } from "./phases";
import { t } from "./texts";

/** Within this time an instant is counted down to, in seconds. */
const COUNTED = 86_400;

/** An instant of a sale, counted down to once it is near. */
function When(props: { at: string; zone: string | undefined }) {
  const left = secondsUntil(props.at);
  return (
    <>
      {fullDay(props.at, props.zone)} {time(props.at, props.zone)}
      {left > 0 && left < COUNTED && <> ({t.value.inClock(clock(left))})</>}
    </>
  );
}

/** The phases that are open or to come, and the general sale; nothing where a sale has none. */
export function Phases(props: { sale: Sale }) {
  const { schedule, venue } = props.sale;
  const ahead = phasesAhead(schedule, now.value);
  if (ahead.length === 0) return null;
  const open = openPhase(schedule);
  const zone = venue?.timeZone;
  return (
    <ol class="phases">
      {ahead.map(({ phaseId, name, opensAt, closesAt }) => (
        <li key={phaseId} class={phaseId === open?.phaseId ? "now" : undefined}>
          <b>{name}</b> <span class="soft small">{t.value.withCode}</span>
          <span>
            {phaseId === open?.phaseId ? t.value.until : t.value.from} <When at={phaseId === open?.phaseId ? closesAt : opensAt} zone={zone} />
          </span>
        </li>
      ))}
      {schedule.salesOpenAt && (
        <li>
          <b>{t.value.generalSale}</b>
          <span>
            {t.value.from} <When at={schedule.salesOpenAt} zone={zone} />
          </span>
        </li>
      )}
    </ol>
  );
}
