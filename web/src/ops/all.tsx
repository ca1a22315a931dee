// All sales together: figures, what happens by the second, and the list of schedules.
import { useComputed, useSignal } from "@preact/signals";
import { count, day, time } from "../base/language";
import { Heading, Loading } from "../base/ui";
import { zoneOf } from "./catalogue";
import { Chart, type Columns, span as chartSpan, SPANS } from "./chart";
import { Bar, Choice, Figures, percent, rough, type SaleStatus, schedulePath, span, Status } from "./parts";
import { t } from "./texts";
import { all, hasMetrics, looks, overview, route, routes, type ScheduleOverview } from "./watch";

type Name = keyof typeof all.columns;
const read =
  (...names: Name[]) =>
  (): Columns => [all.at, ...names.map((name) => all.columns[name])];

export function AllPage() {
  const now = overview.value;
  void looks.value;
  return (
    <>
      <div class="head">
        <Heading title={t.value.title}>{t.value.allSales}</Heading>
        <SpanChoice />
      </div>
      {now ? (
        <>
          <Figures
            label={t.value.allSales}
            items={[
              { label: t.value.soldSeats, value: count(now.seats.reserved), note: percent(now.seats.reserved, now.seats.total) },
              { label: t.value.heldSeats, value: count(now.seats.held) },
              { label: t.value.freeSeats, value: count(now.seats.available) },
              { label: t.value.openSales, value: count(now.sales.open), note: t.value.ofSales(now.sales.total) },
              { label: t.value.waiting, value: count(now.queue.waiting) },
              { label: t.value.atSeats, value: count(now.queue.active) },
              { label: t.value.paymentsPending, value: count(now.payments.pending), isLoud: now.payments.pending > 0 },
              { label: t.value.refundsOwed, value: count(now.payments.refunding), isLoud: now.payments.refunding > 0 },
            ]}
          />
          <Charts />
          <Schedules />
        </>
      ) : (
        <Loading label={t.value.loading} />
      )}
    </>
  );
}

export function SpanChoice() {
  return (
    <Choice
      label={t.value.spanOf}
      value={chartSpan.value}
      options={SPANS.map((seconds) => [seconds, t.value.minutes(seconds / 60)])}
      onChange={(seconds) => (chartSpan.value = seconds)}
    />
  );
}

function Charts() {
  const events = {
    title: t.value.eventsTitle,
    lines: [{ label: t.value.eventsWritten, colour: "s-sold", isFilled: true }],
    read: read("events"),
    write: rough,
  };
  const room = {
    title: t.value.roomTitle,
    lines: [
      { label: t.value.waiting, colour: "s-wait", isFilled: true },
      { label: t.value.atSeats, colour: "s-sold", dash: [6, 3] },
      { label: t.value.admittedPerSecond, colour: "s-held", dash: [2, 3] },
    ],
    read: read("waiting", "active", "admitted"),
    write: rough,
  };
  if (hasMetrics.value !== true) {
    return (
      <section class="charts" aria-labelledby="by-second">
        <BySecond />
        <Chart {...events} note={hasMetrics.value === false ? t.value.metricsElsewhere : undefined} />
        <Chart {...room} />
      </section>
    );
  }
  return (
    <section class="charts" aria-labelledby="by-second">
      <BySecond />
      <Chart
        title={t.value.salesTitle}
        lines={[
          { label: t.value.soldPerSecond, colour: "s-sold", isFilled: true },
          { label: t.value.holdsPerSecond, colour: "s-held", dash: [6, 3] },
          { label: t.value.refusedPerSecond, colour: "s-refused", dash: [2, 3] },
        ]}
        read={read("sold", "holds", "refused")}
        write={rough}
      />
      <Chart {...room} />
      <div class="chart-with">
        <Chart
          title={t.value.latencyTitle}
          lines={[
            { label: "p50", colour: "s-low" },
            { label: "p95", colour: "s-mid", dash: [6, 3] },
            { label: "p99", colour: "s-high", dash: [2, 3] },
          ]}
          read={read("p50", "p95", "p99")}
          write={span}
          least={0.001}
        />
        <label class="route">
          <span class="unseen">{t.value.routeOf}</span>
          <select value={route.value} onChange={(event) => (route.value = (event.target as HTMLSelectElement).value)}>
            <option value="">{t.value.allRoutes}</option>
            {routes.value.map((name) => (
              <option key={name} value={name}>
                {name.replace("/api/v1", "")}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Chart
        title={t.value.journalTitle}
        lines={[
          { label: t.value.sync("p50"), colour: "s-low" },
          { label: t.value.sync("p99"), colour: "s-high", dash: [2, 3] },
          { label: t.value.write("p99"), colour: "s-held", dash: [6, 3] },
        ]}
        read={read("sync50", "sync99", "write99")}
        write={span}
        least={0.001}
        note={journalNote()}
      />
    </section>
  );
}

/** The heading of the charts, where the page shows none. */
export function BySecond() {
  return (
    <h2 id="by-second" class="unseen">
      {t.value.bySecond}
    </h2>
  );
}

function journalNote(): string {
  const [batch, events] = [all.last("batch"), all.last("events")];
  return t.value.journalNote(
    batch === null ? "–" : rough(batch),
    events === null ? "–" : rough(events),
    count(overview.value?.journal.position ?? 0),
  );
}

const STATUSES: (SaleStatus | "")[] = ["", "open", "upcoming", "closed", "cancelled"];

function Schedules() {
  const status = useSignal<SaleStatus | "">("");
  const text = useSignal("");
  const lines = useComputed(() => {
    const wanted = text.value.trim().toLowerCase();
    const fits = (schedule: ScheduleOverview) =>
      (!status.value || schedule.status === status.value) &&
      (!wanted || `${schedule.scheduleId} ${schedule.concertTitle}`.toLowerCase().includes(wanted));
    return (overview.value?.schedules ?? []).filter(fits);
  });
  const now = overview.value!;
  return (
    <section aria-labelledby="schedules" class="schedules">
      <div class="head">
        <h2 id="schedules">{t.value.schedules}</h2>
        <label class="search">
          <span class="unseen">{t.value.filter}</span>
          <input
            type="search"
            value={text.value}
            placeholder={t.value.filter}
            onInput={(event) => (text.value = (event.target as HTMLInputElement).value)}
          />
        </label>
        <Choice
          label={t.value.statusOf}
          value={status.value}
          options={STATUSES.map((name) => [name, name ? `${t.value.sale[name]} ${now.sales[name]}` : t.value.every])}
          onChange={(name) => (status.value = name)}
        />
      </div>
      {lines.value.length === 0 ? (
        <p class="empty">{t.value.noSchedules}</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{t.value.show}</th>
              <th scope="col">{t.value.state}</th>
              <th scope="col" class="wide">
                {t.value.seatsWord}
              </th>
              <th scope="col" class="number">
                {t.value.soldSeats}
              </th>
              <th scope="col" class="number">
                {t.value.heldSeats}
              </th>
              <th scope="col" class="number">
                {t.value.waiting}
              </th>
              <th scope="col" class="number">
                {t.value.paymentsShort}
              </th>
            </tr>
          </thead>
          <tbody>
            {lines.value.map((schedule) => (
              <ScheduleLine key={schedule.scheduleId} schedule={schedule} />
            ))}
          </tbody>
        </table>
      )}
      {now.sales.total > now.schedules.length && <p class="soft small">{t.value.onlySome(now.schedules.length, now.sales.total)}</p>}
    </section>
  );
}

function ScheduleLine(props: { schedule: ScheduleOverview }) {
  const { scheduleId, concertId, concertTitle, startsAt, status, seats, queue, payments } = props.schedule;
  const under = payments.pending + payments.refunding;
  const zone = zoneOf(concertId);
  return (
    <tr>
      <th scope="row">
        <a href={schedulePath(scheduleId)}>{concertTitle}</a> <span class="soft nowrap">{`${day(startsAt, zone)} ${time(startsAt, zone)}`}</span>
      </th>
      <td>
        <Status status={status} />
      </td>
      <td class="wide">
        <Bar seats={seats} />
      </td>
      <td class="number" data-label={t.value.soldSeats}>
        {count(seats.reserved)} <span class="soft part">{percent(seats.reserved, seats.total)}</span>
      </td>
      <td class="number" data-label={t.value.heldSeats}>
        {count(seats.held)}
      </td>
      <td class="number" data-label={t.value.waiting}>
        {queue ? count(queue.waiting) : <span class="soft">–</span>}
        {queue?.paused && <span class="paused">{t.value.pausedShort}</span>}
      </td>
      <td class={`number ${under > 0 ? "loud" : ""}`} data-label={t.value.paymentsShort}>
        {count(under)}
      </td>
    </tr>
  );
}
