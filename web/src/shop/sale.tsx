// One performance: before its sale, in its waiting room, at its seats, and after.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { api, ask, isRefusal, type Reservation } from "../base/api";
import { now, secondsUntil, serverNow } from "../base/clock";
import { clock, count, fullDay, time } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { session } from "../base/session";
import { Heading, Loading, NoticeTo } from "../base/ui";
import { CodeField, codeOf } from "./code";
import { type Sale, saleOf, useAt } from "./data";
import { reservationPath, showPath, sizeOf } from "./names";
import { nextChange, nextOpening, phasesAhead } from "./phases";
import { Phases } from "./presale";
import { Refused } from "./refusal";
import { Room, withPass } from "./room";
import { SeatChooser } from "./chooser";
import { onNews } from "./tabs";
import { t } from "./texts";
import { WaitingRoom } from "./waiting";

export function SalePage(props: { scheduleId: string; changeOf: string | null }) {
  const { scheduleId } = props;
  const loaded = useLoaded(() => saleOf(scheduleId), [scheduleId]);
  const sale = loaded.value.value;
  // The page looks again at the instant at which the sale opens or closes.
  const next = sale === null || isRefusal(sale) ? null : nextChange(sale.schedule, serverNow());
  useAt(next === null ? null : next + 80 + Math.random() * 400, loaded.again);
  useEffect(() => onNews(loaded.again), [scheduleId]);

  if (sale === null) return <Loading label={t.value.loading} />;
  if (isRefusal(sale)) {
    return (
      <>
        <Heading title={t.value.notFoundTitle}>{t.value.notFoundTitle}</Heading>
        <Refused refusal={sale} again={loaded.again} />
      </>
    );
  }
  return <OneSale key={scheduleId} sale={sale} changeOf={props.changeOf} again={loaded.again} />;
}

function OneSale(props: { sale: Sale; changeOf: string | null; again: () => Promise<void> }) {
  const { sale } = props;
  const { schedule, show, venue } = sale;
  const room = useMemo(() => new Room(schedule.scheduleId), [schedule.scheduleId]);
  const hasRoom = schedule.policy.queue != null;
  const fan = session.value?.userId;
  useEffect(() => {
    if (hasRoom) void room.enter();
    return () => room.leaveQuietly();
  }, [hasRoom, fan]);

  const phase = phasesAhead(schedule, now.value)[0]?.phaseId ?? null;
  useEffect(() => codeOf(schedule.scheduleId).enter(phase), [phase]);

  // It comes alive: whoever waited hears it, and sees it in the window's name.
  const stand = room.stand.value;
  const isIn = !hasRoom || stand.kind === "active";
  const wasWaiting = useSignal(false);
  useEffect(() => {
    if (stand.kind === "waiting") wasWaiting.value = true;
    else if (stand.kind === "active" && wasWaiting.value) {
      wasWaiting.value = false;
      announce(t.value.yourTurn);
    }
  }, [stand.kind]);

  // A window in the background shows in its name where one stands.
  const sign = !hasRoom
    ? ""
    : stand.kind === "active"
      ? `${t.value.yourTurnShort} · `
      : stand.kind === "waiting" && stand.position !== null
        ? `${count(stand.position)} · `
        : "";
  const heading = (
    <header class="sale-head">
      <p class="crumb">
        <a href={showPath(show.concertId)}>{show.title}</a>
      </p>
      <Heading title={`${sign}${show.title}`}>
        {fullDay(schedule.startsAt, venue?.timeZone)} <span class="nowrap">{time(schedule.startsAt, venue?.timeZone)}</span>
      </Heading>
      {venue && <p class="soft">{venue.name}</p>}
    </header>
  );

  if (schedule.status === "cancelled") return <Ended heading={heading} text={t.value.saleCancelled} sale={sale} />;
  if (Date.parse(schedule.startsAt) <= now.value) return <Ended heading={heading} text={t.value.saleOver} sale={sale} />;
  if (schedule.status === "closed") return <Ended heading={heading} text={t.value.saleClosed} sale={sale} />;
  if (hasRoom && !isIn) return <WaitingRoom heading={heading} sale={sale} room={room} />;
  if (schedule.status === "upcoming") return <Upcoming heading={heading} sale={sale} />;
  return (
    <SeatChooser
      heading={
        <>
          {heading}
          <Phases sale={sale} />
          <Standing sale={sale} except={props.changeOf} />
          {hasRoom && stand.kind === "active" && stand.expiresAt && <PassTime at={stand.expiresAt} />}
        </>
      }
      sale={sale}
      changeOf={props.changeOf}
      pass={() => withPass(schedule.scheduleId)}
      onPassOver={() => void room.enter()}
      again={props.again}
    />
  );
}

/** How long the reader may be at the seats. */
function PassTime(props: { at: string }) {
  const left = secondsUntil(props.at);
  return left < 600 ? <p class="soft small">{t.value.turnEndsIn(clock(left))}</p> : null;
}

function Ended(props: { heading: preact.ComponentChildren; text: string; sale: Sale }) {
  return (
    <div class="narrow">
      {props.heading}
      <NoticeTo kind="note" href={showPath(props.sale.show.concertId)} label={t.value.otherDates}>
        {props.text}
      </NoticeTo>
    </div>
  );
}

function Upcoming(props: { heading: preact.ComponentChildren; sale: Sale }) {
  const { schedule, venue } = props.sale;
  const next = nextOpening(schedule, now.value);
  if (!next) return <Ended heading={props.heading} text={t.value.saleNotYet} sale={props.sale} />;
  const { at, phase } = next;
  const left = secondsUntil(at);
  const [day, hour] = [fullDay(at, venue?.timeZone), time(at, venue?.timeZone)];
  return (
    <div class="narrow">
      {props.heading}
      <section class="counting">
        <p>{phase ? t.value.phaseOpensAt(phase.name, day, hour) : t.value.saleOpensAt(day, hour)}</p>
        {left < 86_400 && (
          <p class="big" role="timer">
            {clock(left)}
          </p>
        )}
        <p class="soft">{t.value.opensByItself}</p>
        <Phases sale={props.sale} />
        <CodeField code={codeOf(schedule.scheduleId)} isNeeded={phase !== null} hint={phase ? t.value.codeOfPhase(phase.name) : ""} />
      </section>
    </div>
  );
}

/** The reader's hold of this sale, if they have one: it is one step to its payment. */
function Standing(props: { sale: Sale; except: string | null }) {
  const held = useSignal<Reservation | null>(null);
  const fan = session.value?.userId;
  const { scheduleId } = props.sale.schedule;
  useEffect(() => {
    const look = async () => {
      if (!session.value) return void (held.value = null);
      const list = await ask(api.GET("/api/v1/reservations", { params: { query: { scheduleId, limit: 10 } } }));
      if (!isRefusal(list)) held.value = list.items.find(({ status }) => status === "held" || status === "paying") ?? null;
    };
    void look();
    return onNews(() => void look());
  }, [fan, scheduleId]);
  const own = held.value;
  if (!own || own.reservationId === props.except) return null;
  const left = secondsUntil(own.expiresAt);
  if (left === 0) return null;
  return (
    <NoticeTo kind="good" href={reservationPath(own.reservationId)} label={t.value.toPayment} main>
      {t.value.youHold(sizeOf(own))} {t.value.leftFor(clock(left))}
    </NoticeTo>
  );
}
