// One show: what it is, and when.
import { isRefusal, type Schedule } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, count, day, dayOfMonth, money, month, time, weekday } from "../base/language";
import { useLoaded } from "../base/load";
import { Heading, Loading } from "../base/ui";
import { calm } from "./colour";
import { schedulesOf, type Show, show, venues } from "./data";
import { salePath } from "./names";
import { nextOpening, openPhase } from "./phases";
import { Poster } from "./poster";
import { Refused } from "./refusal";
import { t } from "./texts";

export function ShowPage(props: { concertId: string }) {
  const own = useLoaded(() => show(props.concertId), [props.concertId]);
  const dates = useLoaded(() => schedulesOf(props.concertId), [props.concertId]);
  const places = useLoaded(venues, []).value.value;
  const concert = own.value.value;
  if (concert === null) return <Loading label={t.value.loading} />;
  if (isRefusal(concert)) return <Missing refusal={concert} again={own.again} />;
  const venue = isRefusal(places) ? undefined : places?.get(concert.venueId);
  const schedules = dates.value.value;
  return (
    <article class="show">
      <header class="show-head">
        <Poster id={concert.concertId as string} />
        <div>
          <Heading title={concert.title}>{concert.title}</Heading>
          <p class="lead">{concert.artist}</p>
          {concert.description && <p class="description">{concert.description}</p>}
          <p>
            {venue?.name}
            {venue?.address && <span class="soft address">{venue.address}</span>}
          </p>
          <Prices show={concert} />
          <Cast show={concert} />
        </div>
      </header>
      <section aria-labelledby="dates">
        <h2 id="dates">{t.value.dates}</h2>
        {schedules === null && <Loading label={t.value.loading} />}
        {isRefusal(schedules) && <Refused refusal={schedules} again={dates.again} />}
        {schedules !== null && !isRefusal(schedules) && <Dates schedules={schedules} zone={venue?.timeZone} />}
      </section>
    </article>
  );
}

function Missing(props: { refusal: Parameters<typeof Refused>[0]["refusal"]; again: () => void }) {
  return (
    <>
      <Heading title={t.value.notFoundTitle}>{t.value.notFoundTitle}</Heading>
      <Refused {...props} />
    </>
  );
}

function Prices(props: { show: Show }) {
  return (
    <dl class="prices">
      {props.show.grades.map(({ grade, price, color }) => (
        <div key={grade}>
          <dt>
            <Swatch colour={calm(color)} /> {grade}
          </dt>
          <dd>{money(price, props.show.currency)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Cast(props: { show: Show }) {
  const cast = Object.entries(props.show.cast ?? {});
  if (cast.length === 0) return null;
  return (
    <details class="cast">
      <summary>{t.value.cast}</summary>
      <dl>
        {cast.map(([role, names]) => (
          <div key={role}>
            <dt class="soft">{role}</dt>
            <dd>{names.join(", ")}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** A grade's colour. Its name stands beside it. */
export function Swatch(props: { colour: string }) {
  return <span class="swatch" aria-hidden="true" ref={(own) => own?.style.setProperty("background-color", props.colour)} />;
}

function Dates(props: { schedules: Schedule[]; zone: string | undefined }) {
  const ahead = props.schedules.filter((schedule) => Date.parse(schedule.endsAt) > now.value);
  if (ahead.length === 0) return <p class="empty">{t.value.noDates}</p>;
  const months = new Map<string, Schedule[]>();
  for (const schedule of ahead) {
    const name = month(schedule.startsAt, props.zone);
    months.set(name, [...(months.get(name) ?? []), schedule]);
  }
  return (
    <>
      {[...months].map(([name, schedules]) => (
        <section key={name} class="month">
          <h3>{name}</h3>
          <ul>
            {schedules.map((schedule) => (
              <DateLine key={schedule.scheduleId} schedule={schedule} zone={props.zone} />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function DateLine(props: { schedule: Schedule; zone: string | undefined }) {
  const { schedule, zone } = props;
  const next = nextOpening(schedule, now.value);
  const left = next && secondsUntil(next.at);
  const phase = openPhase(schedule);
  const { available, held } = schedule.seats;
  // A sale that opens while the page is read says so without a new page.
  const isOpen = schedule.status === "open" || (schedule.status === "upcoming" && left === 0);
  const state = isOpen
    ? available > 0
      ? `${phase ? `${phase.name} · ` : ""}${t.value.seatsLeft(count(available))}`
      : held > 0
        ? t.value.allHeld
        : t.value.soldOut
    : schedule.status === "cancelled"
      ? t.value.cancelled
      : schedule.status === "closed"
        ? t.value.closed
        : left === null
          ? t.value.notOnSale
          : (next?.phase ? `${next.phase.name} · ` : "") +
            (left < 3600 ? t.value.opensIn(clock(left)) : t.value.opensAt(day(next!.at, zone), time(next!.at, zone)));
  return (
    <li>
      <a class={`date ${isOpen && available > 0 ? "is-open" : ""}`} href={salePath(schedule.scheduleId)}>
        <span class="date-day">
          <b>{dayOfMonth(schedule.startsAt, zone)}</b> <span>{weekday(schedule.startsAt, zone)}</span>
        </span>
        <span class="date-time">{time(schedule.startsAt, zone)}</span>
        <span class="date-state">{state}</span>
        <span class="date-go" aria-hidden="true">
          →
        </span>
      </a>
    </li>
  );
}
