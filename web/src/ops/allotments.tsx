// Allotments: seats that are set aside for somebody, made from what is chosen on the map, counted, and released.
import { useSignal } from "@preact/signals";
import { api, ask, isRefusal, type Refusal } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, count } from "../base/language";
import { announce } from "../base/live";
import { Button, Dialog, Field } from "../base/ui";
import type { Plan } from "../map/plan";
import { type Allotment, releaseAllotment, setAllotment } from "./acts";
import { atOfInput, instantOfDay } from "./parts";
import { Refused } from "./refusal";
import type { Sale } from "./schedule";
import { t } from "./texts";
import { may } from "./who";

/** Reads all allotments of a schedule: there are at most 256. */
export async function allotmentsOf(scheduleId: string): Promise<Allotment[] | Refusal> {
  const list = await ask(api.GET("/api/v1/schedules/{scheduleId}/allotments", { params: { path: { scheduleId }, query: { limit: 1000 } } }));
  return isRefusal(list) ? list : list.items;
}

/** Returns the allotment of each seat that has one. */
export function allottedSeats(plan: Plan, list: Allotment[]): ReadonlyMap<number, Allotment> {
  const seats = new Map<number, Allotment>();
  for (const allotment of list) {
    for (const id of allotment.seats) {
      const seat = plan.indexOf(id);
      if (seat !== undefined) seats.set(seat, allotment);
    }
  }
  return seats;
}

/** Changes which seats an allotment has, as it stands at the server now: somebody else may have changed it meanwhile. */
export async function changeSeats(
  scheduleId: string,
  allotmentId: string,
  change: (seats: string[]) => string[],
  words: string,
): Promise<Allotment | Refusal> {
  const params = { path: { scheduleId, allotmentId } };
  const before = await ask(api.GET("/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", { params }));
  if (isRefusal(before)) return before;
  const { allotmentId: _, total: _total, held: _held, sold: _sold, left: _left, seats, ...terms } = before;
  return setAllotment(scheduleId, allotmentId, { ...terms, seats: change(seats) }, words);
}

/** Makes an id of a name: what ids can't have becomes a dash. */
const idOf = (name: string) =>
  name
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_.:-]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 128);

type Wrong = Partial<Record<"name" | "id" | "release", string>>;

/** Sets the chosen seats aside: in an allotment of their own, or with those of another. */
export function AllotDialog(props: { sale: Sale; list: Allotment[]; seats: string[]; onClose: () => void; onDone: () => void }) {
  const { sale, list, seats } = props;
  const { scheduleId, schedule } = sale;
  const target = useSignal("");
  const name = useSignal("");
  const id = useSignal<string | null>(null);
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const wrong = useSignal<Wrong>({});

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    const fields = new FormData(event.target as HTMLFormElement);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const release = text("releaseAt");
    const releaseAt = atOfInput(release);
    const own = id.value?.trim() || idOf(name.value);
    if (target.value === "") {
      const missing: Wrong = {
        ...(name.value.trim() ? {} : { name: t.value.nameMissing }),
        ...(own && !list.some(({ allotmentId }) => allotmentId === own) ? {} : { id: own ? t.value.idTaken : t.value.idMissing }),
        ...(releaseAt && (Date.parse(releaseAt) <= now.value || Date.parse(releaseAt) > Date.parse(schedule.endsAt))
          ? { release: t.value.releaseWrong }
          : {}),
      };
      wrong.value = missing;
      if (Object.keys(missing).length > 0) return announce(Object.values(missing)[0] as string);
    }

    busy.value = true;
    const title = list.find(({ allotmentId }) => allotmentId === target.value)?.name ?? name.value.trim();
    const words = t.value.did.allot(seats.length, title);
    const reason = text("reason");
    const answer = target.value
      ? await changeSeats(scheduleId, target.value, (before) => [...new Set([...before, ...seats])], words)
      : await setAllotment(scheduleId, own, { name: title, ...(reason ? { reason } : {}), ...(releaseAt ? { releaseAt } : {}), seats }, words);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onDone();
  };
  return (
    <Dialog title={t.value.allotTitle(seats.length)} closeLabel={t.value.close} onClose={props.onClose}>
      <p>{t.value.allotText}</p>
      <form class="terms" onSubmit={(event) => void send(event)} noValidate>
        {list.length > 0 && (
          <div class="field">
            <label for="allot-target">{t.value.allotment}</label>
            <select id="allot-target" value={target.value} onChange={(event) => (target.value = (event.target as HTMLSelectElement).value)}>
              <option value="">{t.value.newAllotment}</option>
              <AllotmentOptions list={list} />
            </select>
          </div>
        )}
        {target.value === "" && (
          <>
            <Field
              label={t.value.name}
              name="name"
              autoComplete="off"
              maxLength={200}
              value={name.value}
              onInput={(event) => (name.value = (event.target as HTMLInputElement).value)}
              wrong={wrong.value.name}
            />
            <Field
              label={t.value.allotmentId}
              name="id"
              autoComplete="off"
              spellcheck={false}
              maxLength={128}
              value={id.value ?? idOf(name.value)}
              onInput={(event) => (id.value = (event.target as HTMLInputElement).value)}
              hint={t.value.allotmentIdHint}
              wrong={wrong.value.id}
            />
            <Field label={t.value.reason} name="reason" autoComplete="off" />
            <Field label={t.value.releaseAt} name="releaseAt" type="datetime-local" hint={t.value.releaseAtHint} wrong={wrong.value.release} />
          </>
        )}
        {refusal.value && <Refused refusal={refusal.value} />}
        <div class="actions">
          <Button type="submit" look="main" busy={busy.value} id="allot-sure">
            {t.value.allotYes}
          </Button>
          <Button onClick={props.onClose}>{t.value.no}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Beyond a day the instant says enough. */
const COUNTED_SECONDS = 86_400;

/** The allotments with their counts. */
export function Allotments(props: { sale: Sale; list: Allotment[] | Refusal; again: () => void; onShow: (allotment: Allotment) => void }) {
  const { sale, list } = props;
  const asking = useSignal<Allotment | null>(null);
  return (
    <section class="allotments" aria-labelledby="allotments">
      <h2 id="allotments">{t.value.allotments}</h2>
      {isRefusal(list) ? (
        <Refused refusal={list} again={props.again} />
      ) : list.length === 0 ? (
        <p class="soft small">{t.value.noAllotments}</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{t.value.allotment}</th>
              {(["total", "left", "held", "sold"] as const).map((name) => (
                <th scope="col" class="number" key={name}>
                  {t.value.allotmentCounts[name]}
                </th>
              ))}
              <th scope="col">{t.value.releases}</th>
              <th scope="col">
                <span class="unseen">{t.value.actsOf}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {list.map((allotment) => (
              <tr key={allotment.allotmentId}>
                <th scope="row">
                  <b>{allotment.name}</b> <code class="id">{allotment.allotmentId}</code>
                  {allotment.reason && <span class="soft small reason">{allotment.reason}</span>}
                </th>
                {(["total", "left", "held", "sold"] as const).map((name) => (
                  <td class="number" key={name} data-label={t.value.allotmentCounts[name]}>
                    {count(allotment[name])}
                  </td>
                ))}
                <td data-label={t.value.releases}>
                  <Release at={allotment.releaseAt ?? null} />
                </td>
                <td class="row-acts">
                  <Button look="quiet" label={t.value.showAllotment(allotment.name)} onClick={() => props.onShow(allotment)}>
                    {t.value.showIt}
                  </Button>
                  {may("run") && (
                    <Button look="quiet" label={t.value.releaseAllotment(allotment.name)} onClick={() => (asking.value = allotment)}>
                      {t.value.releaseIt}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {asking.value && (
        <ReleaseDialog
          sale={sale}
          allotment={asking.value}
          onClose={(isDone) => {
            asking.value = null;
            if (isDone) props.again();
          }}
        />
      )}
    </section>
  );
}

function Release(props: { at: string | null }) {
  const { at } = props;
  if (at === null) return <span class="soft">{t.value.byHand}</span>;
  const seconds = secondsUntil(at);
  return (
    <time dateTime={at}>
      {instantOfDay(at).slice(0, -4)} {seconds < COUNTED_SECONDS && <span class="soft">{t.value.inTime(clock(seconds))}</span>}
    </time>
  );
}

function ReleaseDialog(props: { sale: Sale; allotment: Allotment; onClose: (isDone: boolean) => void }) {
  const { allotment } = props;
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const send = async () => {
    busy.value = true;
    const answer = await releaseAllotment(props.sale.scheduleId, allotment);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onClose(true);
  };
  return (
    <Dialog title={t.value.askRelease(allotment.name)} closeLabel={t.value.close} onClose={() => props.onClose(false)}>
      <p>{t.value.releaseText(allotment.left, allotment.held + allotment.sold)}</p>
      {refusal.value && <Refused refusal={refusal.value} />}
      <div class="actions">
        <Button look="main" busy={busy.value} onClick={() => void send()} id="release-sure">
          {t.value.releaseYes}
        </Button>
        <Button onClick={() => props.onClose(false)}>{t.value.no}</Button>
      </div>
    </Dialog>
  );
}

/** Allotments to choose from, each with what is left of it. */
export function AllotmentOptions({ list }: { list: Allotment[] }) {
  return (
    <>
      {list.map(({ allotmentId, name, left }) => (
        <option key={allotmentId} value={allotmentId}>
          {t.value.allotmentLeft(name, left)}
        </option>
      ))}
    </>
  );
}
