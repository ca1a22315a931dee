// The waiting room: where one stands, how many are ahead, what is left, and how long it may take.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api, ask, isOnline, isRefusal, type Refusal, type Schemas } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, count, time } from "../base/language";
import { announce } from "../base/live";
import { session } from "../base/session";
import { Button, Notice } from "../base/ui";
import { CodeField, codeOf } from "./code";
import { calm } from "./colour";
import type { Sale } from "./data";
import { asFan } from "./fan";
import { loadTickets } from "./later";
import { phasesAhead } from "./phases";
import { Phases } from "./presale";
import { Refused, sentence } from "./refusal";
import type { Room, Stand } from "./room";
import { Swatch } from "./show";
import { t } from "./texts";

type Overview = Schemas["WaitingRoom"];

/** How often a visitor's numbers of the room are read again. */
const LOOK_MS = 5_000;

export function WaitingRoom(props: { heading: ComponentChildren; sale: Sale; room: Room }) {
  const { sale, room } = props;
  const { scheduleId, policy } = sale.schedule;
  const overview = useSignal<Overview | null>(null);
  const refusal = useSignal<Refusal | null>(null);
  const busy = useSignal(false);
  const stand = room.stand.value;
  const code = codeOf(scheduleId);
  const [phase] = phasesAhead(sale.schedule, now.value);
  // Who comes behind the draw stands behind everyone, as in any line.
  const opensAt = overview.value?.opensAt;
  const isDraw = policy.queue?.order === "shuffle" && opensAt != null && secondsUntil(opensAt) > 0;

  useEffect(() => {
    const look = async () => {
      if (document.visibilityState === "hidden") return;
      const room = await ask(api.GET("/api/v1/schedules/{scheduleId}/queue", { params: { path: { scheduleId } } }));
      if (!isRefusal(room)) overview.value = room;
    };
    void look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
    // Whoever comes in or goes counts themselves at once.
  }, [scheduleId, stand.kind]);

  useEffect(() => void loadTickets(), []);

  const join = () => {
    if (code.isMissing(phase !== undefined)) return;
    asFan(async () => {
      if (busy.value) return;
      busy.value = true;
      refusal.value = null;
      const refused = await room.join(code.said);
      busy.value = false;
      if (!refused || code.refuse(refused)) return;
      refusal.value = refused;
      announce(sentence(refused));
    });
  };

  return (
    <div class="narrow room">
      {props.heading}
      {stand.kind === "waiting" ? (
        <InLine stand={stand} sale={sale} room={room} overview={overview.value} />
      ) : (
        <section class="room-door">
          {stand.kind === "out" && stand.ended === "expired" && <Notice kind="note">{t.value.turnOver}</Notice>}
          <p class="lead">{isDraw ? t.value.drawIntro : t.value.roomIntro}</p>
          <Phases sale={sale} />
          {overview.value && <Numbers overview={overview.value} sale={sale} />}
          <CodeField code={code} isNeeded={phase !== undefined} hint={phase && t.value.codeOfPhase(phase.name)} />
          {refusal.value && <Refused refusal={refusal.value} again={join} />}
          <Button look="main" onClick={join} busy={busy.value || (stand.kind === "unknown" && session.value !== null)} id="join">
            {isDraw ? t.value.joinDraw : t.value.join}
          </Button>
          <p class="soft small">{isDraw ? t.value.drawFair : t.value.roomFair}</p>
        </section>
      )}
    </div>
  );
}

/** The room as a visitor sees it. */
function Numbers(props: { overview: Overview; sale: Sale }) {
  const { overview, sale } = props;
  const opens = overview.opensAt && secondsUntil(overview.opensAt) > 0 ? overview.opensAt : null;
  return (
    <>
      <dl class="figures">
        <div>
          <dt>{t.value.peopleWaiting}</dt>
          <dd>{count(overview.waiting)}</dd>
        </div>
        <div>
          <dt>{opens ? t.value.opens(time(opens, sale.venue?.timeZone)) : t.value.waitNow}</dt>
          <dd>{opens ? clock(secondsUntil(opens)) : t.value.wait(overview.waiting === 0 ? 0 : overview.estimatedWaitSeconds)}</dd>
        </div>
      </dl>
      <SeatsLeft left={overview.seatsLeft ?? null} sale={sale} />
    </>
  );
}

function InLine(props: { stand: Extract<Stand, { kind: "waiting" }>; sale: Sale; room: Room; overview: Overview | null }) {
  const { stand, sale, room, overview } = props;
  const leaving = useSignal(false);
  const first = useSignal<number | null>(null);
  if (stand.position !== null && (first.value === null || stand.position > first.value)) first.value = stand.position;
  const opensAt = overview?.opensAt && secondsUntil(overview.opensAt) > 0 ? overview.opensAt : null;
  const begun = first.value ?? 1;
  // How much of the way is behind the reader: nothing yet for who has just come, unless they are next.
  const part = stand.position === null ? 0 : begun <= 1 ? 1 : 1 - stand.position / begun;

  useEffect(() => announce(stand.ahead === null ? t.value.drawSoon : t.value.inLine(stand.ahead)), []);

  return (
    <section class="line">
      {stand.position === null ? (
        <>
          <p class="lead">{t.value.drawSoon}</p>
          {overview && <Numbers overview={overview} sale={sale} />}
        </>
      ) : (
        <>
          <p class="soft">{t.value.yourPlace}</p>
          <p class="position" data-position={stand.position}>
            {count(stand.position)}
          </p>
          <p class="lead">{t.value.ahead(stand.ahead ?? 0)}</p>
          <div class="line-bar" aria-hidden="true" ref={(own) => own?.style.setProperty("--part", String(part))} />
          <p>
            {opensAt
              ? t.value.roomOpensIn(clock(secondsUntil(opensAt)), time(opensAt, sale.venue?.timeZone))
              : overview?.paused
                ? t.value.paused
                : t.value.waitAbout(stand.waitSeconds)}
          </p>
          <SeatsLeft left={stand.seatsLeft ?? overview?.seatsLeft ?? null} sale={sale} />
        </>
      )}
      {stand.soldOut && <Notice kind="note">{t.value.soldOutWaiting}</Notice>}
      {(!room.isLive.value || !isOnline.value) && <Notice kind="note">{t.value.roomOffline}</Notice>}
      <p class="soft small">{t.value.roomStays}</p>
      <Button
        look="quiet"
        busy={leaving.value}
        onClick={async () => {
          leaving.value = true;
          await room.leave();
          leaving.value = false;
        }}
      >
        {t.value.leave}
      </Button>
    </section>
  );
}

/** How many seats of each grade can be held now. */
function SeatsLeft(props: { left: Record<string, number> | null; sale: Sale }) {
  const { left, sale } = props;
  if (!left) return null;
  return (
    <section aria-labelledby="left">
      <h2 id="left" class="label">
        {t.value.seatsLeftNow}
      </h2>
      <ul class="left">
        {sale.show.grades
          .filter(({ grade }) => grade in left)
          .map(({ grade, color }) => (
            <li key={grade}>
              <Swatch colour={calm(color)} /> {grade} <b>{count(left[grade] ?? 0)}</b>
            </li>
          ))}
      </ul>
    </section>
  );
}
