// The waiting room of a sale: pause it, pace it, and make its draw again.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, ask, isRefusal, type Refusal } from "../base/api";
import { secondsUntil } from "../base/clock";
import { clock, count } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { Button, Field, Loading, Notice } from "../base/ui";
import { type Room, tune } from "./acts";
import { BySecond } from "./all";
import { Chart, type Columns } from "./chart";
import { type Checked, RoomFollower, type RoomEvent } from "./draw";
import { readFeed } from "./feed";
import { Figures, instantOfDay, lookupPath, rough } from "./parts";
import { Refused } from "./refusal";
import { t } from "./texts";
import { looks, overview, trackOf } from "./watch";
import { may } from "./who";

export function RoomPart(props: { scheduleId: string }) {
  const { scheduleId } = props;
  const { value, again } = useLoaded<Room>(
    () => ask(api.GET("/api/v1/schedules/{scheduleId}/queue", { params: { path: { scheduleId } } })),
    [scheduleId],
  );
  const second = Math.floor(looks.value / 2);
  useEffect(() => void again(), [second]);
  const room = value.value;
  if (room === null) return <Loading label={t.value.loading} />;
  if (isRefusal(room)) return <Refused refusal={room} again={() => void again()} />;

  const opens = room.opensAt ? secondsUntil(room.opensAt) : 0;
  const track = trackOf(scheduleId);
  const read =
    (...names: (keyof typeof track.columns)[]) =>
    (): Columns => [track.at, ...names.map((name) => track.columns[name])];
  return (
    <>
      <Figures
        label={t.value.tabs.room}
        items={[
          { label: t.value.waiting, value: count(room.waiting) },
          { label: t.value.atSeats, value: count(room.active), note: t.value.ofAtMost(count(room.maxActive)) },
          { label: t.value.admittedTotal, value: count(room.admittedTotal) },
          { label: t.value.pace, value: room.admitPerMinute === null ? t.value.unlimited : t.value.perMinute(count(room.admitPerMinute)) },
          { label: t.value.newcomerWaits, value: room.estimatedWaitSeconds === null ? "–" : clock(room.estimatedWaitSeconds) },
          ...(opens > 0 ? [{ label: t.value.opensIn, value: clock(opens) }] : []),
          {
            label: t.value.gate,
            value: (t.value.gates as Record<string, string>)[room.gate] ?? room.gate,
            isLoud: room.paused,
            note: room.paused ? t.value.pausedShort : undefined,
          },
        ]}
      />
      <section class="charts" aria-labelledby="by-second">
        <BySecond />
        <Chart
          title={t.value.lineTitle}
          lines={[
            { label: t.value.waiting, colour: "s-wait", isFilled: true },
            { label: t.value.atSeats, colour: "s-sold", dash: [6, 3] },
          ]}
          read={read("waiting", "active")}
          write={rough}
        />
        <Chart
          title={t.value.admissionsTitle}
          lines={[{ label: t.value.admittedPerSecond, colour: "s-held", isFilled: true }]}
          read={read("admitted")}
          write={rough}
        />
      </section>
      {may("run") && <Pace scheduleId={scheduleId} room={room} again={again} />}
      {room.draw && <Draw scheduleId={scheduleId} draw={room.draw} />}
    </>
  );
}

function Pace(props: { scheduleId: string; room: Room; again: () => Promise<void> }) {
  const { scheduleId, room } = props;
  const busy = useSignal<"" | "pause" | "pace">("");
  const refusal = useSignal<Refusal | null>(null);
  const wrong = useSignal<{ active?: string; rate?: string }>({});
  const form = useRef<HTMLFormElement>(null);

  const send = async (act: "pause" | "pace", body: Parameters<typeof tune>[1], words: string) => {
    if (busy.value) return;
    busy.value = act;
    refusal.value = null;
    const answer = await tune(scheduleId, body, words);
    busy.value = "";
    refusal.value = isRefusal(answer) ? answer : null;
    await props.again();
  };
  const pause = () => send("pause", { paused: !room.paused }, room.paused ? t.value.did.resume : t.value.did.pause);
  const pace = (event: Event) => {
    event.preventDefault();
    const fields = new FormData(form.current as HTMLFormElement);
    const read = (name: string) =>
      String(fields.get(name) ?? "")
        .trim()
        .replaceAll(",", "");
    const [active, rate] = [read("maxActive"), read("admitPerMinute")];
    const isRight = (text: string) => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 1_000_000;
    wrong.value = {
      ...(isRight(active) ? {} : { active: t.value.numberWrong }),
      ...(rate === "" || isRight(rate) ? {} : { rate: t.value.numberWrong }),
    };
    if (wrong.value.active || wrong.value.rate) return;
    const body = { maxActive: Number(active), admitPerMinute: rate === "" ? null : Number(rate) };
    void send("pace", body, t.value.did.pace(count(body.maxActive), body.admitPerMinute === null ? null : count(body.admitPerMinute)));
  };
  return (
    <section class="pace" aria-labelledby="pace">
      <h2 id="pace">{t.value.paceTitle}</h2>
      <div class="pace-line">
        <form ref={form} onSubmit={pace} noValidate>
          <Field
            label={t.value.maxActive}
            name="maxActive"
            inputMode="numeric"
            autoComplete="off"
            defaultValue={String(room.maxActive)}
            hint={t.value.maxActiveHint}
            wrong={wrong.value.active}
          />
          <Field
            label={t.value.admitPerMinute}
            name="admitPerMinute"
            inputMode="numeric"
            autoComplete="off"
            defaultValue={room.admitPerMinute === null ? "" : String(room.admitPerMinute)}
            hint={t.value.admitPerMinuteHint}
            wrong={wrong.value.rate}
          />
          <Button type="submit" id="set-pace" busy={busy.value === "pace"}>
            {t.value.setPace}
          </Button>
        </form>
        <div class="pause">
          <p class="soft small">{room.paused ? t.value.pausedText : t.value.pauseText}</p>
          <Button look={room.paused ? "main" : "danger"} id="pause" busy={busy.value === "pause"} onClick={() => void pause()}>
            {room.paused ? t.value.resume : t.value.pause}
          </Button>
        </div>
      </div>
      {refusal.value && <Refused refusal={refusal.value} />}
    </section>
  );
}

/** How many places of an order are shown at first. */
const SHOWN = 20;

function Draw(props: { scheduleId: string; draw: NonNullable<Room["draw"]> }) {
  const { scheduleId, draw } = props;
  const checked = useSignal<Checked | "none" | "refused" | null>(null);
  const part = useSignal<number | null>(null);
  const isWhole = useSignal(false);
  const reading = useRef<AbortController | null>(null);
  useEffect(() => () => reading.current?.abort(), []);

  const check = async () => {
    if (part.value !== null) return;
    const end = (reading.current = new AbortController());
    const journal = overview.value?.journal;
    const [from, until] = [journal?.oldestPosition ?? 1, journal?.position ?? 0];
    const room = new RoomFollower();
    part.value = 0;
    const isRead = await readFeed({
      after: null,
      until,
      subject: `schedules/${scheduleId}/queue`,
      signal: end.signal,
      on: (event: RoomEvent) => room.take(event),
      onPosition: (position) => {
        if (position % 512 === 0) part.value = (position - from) / Math.max(1, until - from);
      },
    });
    part.value = null;
    if (end.signal.aborted) return;
    checked.value = isRead ? (room.checked() ?? "none") : "refused";
    const found = checked.value;
    announce(
      typeof found === "object" && found ? (isRight(found, draw) ? t.value.drawRight(found.order.length) : t.value.drawWrong) : t.value.drawUnknown,
    );
  };

  const found = checked.value;
  return (
    <section class="draw" aria-labelledby="draw">
      <h2 id="draw">{t.value.drawTitle}</h2>
      <p class="soft">{draw.seed ? t.value.drawText : t.value.drawSoon}</p>
      <dl class="facts">
        <div>
          <dt>{t.value.seedHash}</dt>
          <dd>
            <code>{draw.seedSha256}</code>
          </dd>
        </div>
        {draw.seed && (
          <div>
            <dt>{t.value.seed}</dt>
            <dd>
              <code>{draw.seed}</code>
            </dd>
          </div>
        )}
        {draw.drawn !== null && (
          <div>
            <dt>{t.value.drawnPeople}</dt>
            <dd>{count(draw.drawn)}</dd>
          </div>
        )}
      </dl>
      {draw.seed && may("follow") && (
        <div class="actions">
          <Button id="check-draw" onClick={() => void check()} busy={part.value !== null}>
            {part.value === null ? t.value.checkDraw : t.value.reading(`${Math.round(100 * part.value)} %`)}
          </Button>
          {part.value !== null && <Button onClick={() => reading.current?.abort()}>{t.value.stop}</Button>}
        </div>
      )}
      {draw.seed && !may("follow") && <p class="soft small">{t.value.drawNeedsRole}</p>}
      {found === "none" || found === "refused" ? <Notice>{t.value.drawUnknown}</Notice> : null}
      {found && typeof found === "object" && (
        <>
          <Notice kind={isRight(found, draw) ? "good" : "wrong"}>
            {isRight(found, draw) ? t.value.drawRight(found.order.length) : isKept(found, draw) ? t.value.drawWrong : t.value.drawNotKept}
          </Notice>
          <ul class="checks" id="draw-checks">
            <Check isRight={found.hashFits && (found.published?.hash ?? draw.seedSha256) === draw.seedSha256}>
              {found.published ? t.value.checkHash(instantOfDay(found.published.at), count(found.published.position)) : t.value.checkHashOnly}
            </Check>
            <Check isRight={isKept(found, draw)}>
              {t.value.checkPeople(count(found.order.length), count(draw.drawn ?? 0), instantOfDay(found.drawnAt))}
            </Check>
            <Check isRight={found.admittedInOrder}>{t.value.checkOrder(count(found.admitted))}</Check>
          </ul>
          <table class="list order">
            <caption class="unseen">{t.value.orderOf}</caption>
            <thead>
              <tr>
                <th scope="col" class="number">
                  {t.value.place}
                </th>
                <th scope="col" class="number">
                  {t.value.ticket}
                </th>
                <th scope="col">{t.value.user}</th>
              </tr>
            </thead>
            <tbody>
              {found.order.slice(0, isWhole.value ? 2_000 : SHOWN).map(({ ticket, userId }, index) => (
                <tr key={ticket}>
                  <td class="number" data-label={t.value.place}>
                    {index + 1}
                  </td>
                  <td class="number" data-label={t.value.ticket}>
                    {ticket}
                  </td>
                  <td>{may("readAll") ? <a href={lookupPath(userId)}>{userId}</a> : userId}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {found.order.length > SHOWN && !isWhole.value && <Button onClick={() => (isWhole.value = true)}>{t.value.showMore}</Button>}
        </>
      )}
    </section>
  );
}

/** Whether the journal still has everyone who was drawn. */
const isKept = (found: Checked, draw: NonNullable<Room["draw"]>) => found.order.length === draw.drawn && found.seed === draw.seed;
const isRight = (found: Checked, draw: NonNullable<Room["draw"]>) => found.hashFits && isKept(found, draw) && found.admittedInOrder;

function Check(props: { isRight: boolean; children: string }) {
  return (
    <li class={props.isRight ? "right" : "wrong"}>
      <span aria-hidden="true">{props.isRight ? "✓" : "×"}</span>
      <span class="unseen">{props.isRight ? t.value.right : t.value.notRight}: </span>
      {props.children}
    </li>
  );
}
